// Log-probabilities of given tokens at every vertex; see natlab/kernels/gather_log_softmax.py.
//
// One block a row of logits. Forward it reads the row once, each thread keeping a running maximum and sum, which the
// block merges; backward it reads and writes the row once, then sets the elements that tokens name.
#include <cassert>
#include <type_traits>

#include "natlab.h"

namespace natlab {
namespace {

constexpr int THREADS = 256, WARP = 32;
constexpr unsigned ALL_LANES = 0xffffffffu;

// What one memory transaction of a thread moves: WIDTH elements.
template <typename T, int WIDTH>
struct alignas(sizeof(T) * WIDTH) Pack {
  T values[WIDTH];
};

// log sum exp of a row in two parts, since large logits would round their sum: greatest + log_sum.
template <typename A>
struct Normaliser {
  A greatest, log_sum;
};

// greatest, and the sum of exp(x - greatest), over some elements x of a row
template <typename A>
struct RunningSum {
  A greatest, sum;
};

// The greatest, or 0 where it is -inf: with it, exp(-inf - ...) is 0 and not nan.
template <typename A>
__device__ A finite(A greatest) {
  return greatest == -infinity<A> ? A(0) : greatest;
}

template <typename A>
__device__ RunningSum<A> merged(RunningSum<A> one, RunningSum<A> other) {
  const A greatest = fmax(one.greatest, other.greatest), from = finite(greatest);
  return {greatest, one.sum * exp(one.greatest - from) + other.sum * exp(other.greatest - from)};
}

template <typename A>
__device__ A warp_sum(A value) {
  for (int step = WARP / 2; step > 0; step /= 2) value += __shfl_xor_sync(ALL_LANES, value, step);
  return value;
}

// The sum over a block, in all its threads.
template <typename A>
__device__ A block_sum(A value) {
  __shared__ A of_warp[THREADS / WARP];
  value = warp_sum(value);
  if (threadIdx.x % WARP == 0) of_warp[threadIdx.x / WARP] = value;
  __syncthreads();
  return warp_sum(threadIdx.x % WARP < THREADS / WARP ? of_warp[threadIdx.x % WARP] : A(0));
}

template <typename A>
__device__ RunningSum<A> warp_merged(RunningSum<A> running) {
  for (int step = WARP / 2; step > 0; step /= 2) {
    running = merged(running, RunningSum<A>{__shfl_xor_sync(ALL_LANES, running.greatest, step),
                                            __shfl_xor_sync(ALL_LANES, running.sum, step)});
  }
  return running;
}

// The normaliser of a row, in all threads of the block.
template <typename T, int WIDTH>
__device__ Normaliser<accumulator<T>> normaliser(const T* row, int64_t size) {
  using A = accumulator<T>;
  RunningSum<A> running{-infinity<A>, 0};
  const auto* packs = reinterpret_cast<const Pack<T, WIDTH>*>(row);
  for (int64_t n = threadIdx.x; n < size / WIDTH; n += THREADS) {
    const Pack<T, WIDTH> pack = packs[n];
    A greatest = running.greatest;
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) greatest = fmax(greatest, load(pack.values[i]));
    const A from = finite(greatest);
    if (greatest > running.greatest) running.sum *= exp(running.greatest - from);
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) running.sum += exp(load(pack.values[i]) - from);
    running.greatest = greatest;
  }
  __shared__ RunningSum<A> of_warp[THREADS / WARP];
  running = warp_merged(running);
  if (threadIdx.x % WARP == 0) of_warp[threadIdx.x / WARP] = running;
  __syncthreads();
  running = RunningSum<A>{-infinity<A>, 0};
  if (threadIdx.x % WARP < THREADS / WARP) running = of_warp[threadIdx.x % WARP];
  running = warp_merged(running);
  // a row of -inf has the sum 0; one with a nan has the sum nan
  if (running.greatest == -infinity<A>) return {running.greatest + running.sum, 0};
  return {running.greatest, log(running.sum)};
}

template <typename T, int WIDTH>
__global__ void __launch_bounds__(THREADS)
    forward(const T* logits, const int64_t* tokens, const int64_t* lengths, const int64_t* target_lengths,
            accumulator<T>* log_probs, Normaliser<accumulator<T>>* normalisers, int64_t length, int64_t vocabulary,
            int64_t targets) {
  using A = accumulator<T>;
  const int64_t row = blockIdx.x, b = row / length, l = row % length;
  const int64_t valid = l < lengths[b] ? min(target_lengths[b], targets) : 0;
  const T* logit = logits + row * vocabulary;
  Normaliser<A> whole{-infinity<A>, 0};
  if (valid > 0) whole = normaliser<T, WIDTH>(logit, vocabulary);
  if (threadIdx.x == 0) normalisers[row] = whole;
  for (int64_t t = threadIdx.x; t < targets; t += THREADS) {
    A value = -infinity<A>;
    if (t < valid) {
      const int64_t token = tokens[b * targets + t];
      assert(token >= 0 && token < vocabulary);
      value = load(logit[token]);
      // a row without a possible token has the normaliser -inf
      if (value != -infinity<A>) value = value - whole.greatest - whole.log_sum;
    }
    log_probs[(b * targets + t) * length + l] = value;
  }
}

template <typename T, int WIDTH>
__global__ void __launch_bounds__(THREADS)
    backward(const T* logits, const int64_t* tokens, const int64_t* order, const int64_t* target_lengths,
             const Normaliser<accumulator<T>>* normalisers, const accumulator<T>* grad_log_probs, T* grad_logits,
             int64_t length, int64_t vocabulary, int64_t targets) {
  using A = accumulator<T>;
  const int64_t row = blockIdx.x, b = row / length, l = row % length;
  const Normaliser<A> whole = normalisers[row];
  const bool possible = whole.greatest != -infinity<A>;
  const int64_t valid = possible ? min(target_lengths[b], targets) : 0;
  const T* logit = logits + row * vocabulary;
  T* to = grad_logits + row * vocabulary;
  const A* grad = grad_log_probs + b * targets * length + l;
  A total = 0;
  for (int64_t t = threadIdx.x; t < valid; t += THREADS) total += grad[t * length];
  total = block_sum(total);

  const auto* packs = reinterpret_cast<const Pack<T, WIDTH>*>(logit);
  auto* packs_to = reinterpret_cast<Pack<T, WIDTH>*>(to);
  for (int64_t n = threadIdx.x; n < vocabulary / WIDTH; n += THREADS) {
    const Pack<T, WIDTH> pack = packs[n];
    Pack<T, WIDTH> result;
#pragma unroll
    for (int i = 0; i < WIDTH; ++i) {
      const A probability = exp(load(pack.values[i]) - whole.greatest - whole.log_sum);
      result.values[i] = store<T>(possible ? -total * probability : A(0));
    }
    packs_to[n] = result;
  }
  __syncthreads();  // the block's writes come before the next ones, some of which replace them

  // `order` sorts the tokens: the thread at the first of several equal ones adds up their gradients, so that the sum
  // is rounded once and always in the same order
  const int64_t* token = tokens + b * targets;
  const int64_t* sorted = order + b * targets;
  for (int64_t s = threadIdx.x; s < targets; s += THREADS) {
    const int64_t v = token[sorted[s]];
    if (s > 0 && token[sorted[s - 1]] == v) continue;
    A sum = 0;
    bool named = false;
    for (int64_t n = s; n < targets && token[sorted[n]] == v; ++n) {
      if (sorted[n] < valid) {
        sum += grad[sorted[n] * length];
        named = true;
      }
    }
    if (named) to[v] = store<T>(sum - total * exp(load(logit[v]) - whole.greatest - whole.log_sum));
  }
}

// function(width) with how many elements a thread may move at once, as a type: 16 bytes where rows begin at multiples
// of 16 bytes.
template <typename T, typename Function>
int by_width(const void* one, const void* other, int64_t vocabulary, Function&& function) {
  constexpr int WIDTH = 16 / sizeof(T);
  const auto at = reinterpret_cast<uintptr_t>(one) | reinterpret_cast<uintptr_t>(other);
  if (vocabulary % WIDTH == 0 && at % 16 == 0) return function(std::integral_constant<int, WIDTH>{});
  return function(std::integral_constant<int, 1>{});
}

}  // namespace
}  // namespace natlab

// logits [batch, length, vocabulary] of `type`, tokens [batch, tokens] -> log_probs [batch, tokens, length] and
// normalisers [batch, length, 2], both in the accumulator of `type`.
NATLAB_API int natlab_gather_log_softmax(const void* logits, const int64_t* tokens, const int64_t* lengths,
                                         const int64_t* target_lengths, void* log_probs, void* normalisers,
                                         int64_t type, int64_t batch, int64_t length, int64_t vocabulary,
                                         int64_t targets, void* stream) {
  if (batch * length == 0) return 0;
  return natlab::by_type(type, [&](auto element) {
    using T = decltype(element);
    using A = natlab::accumulator<T>;
    return natlab::by_width<T>(logits, nullptr, vocabulary, [&](auto width) {
      natlab::forward<T, decltype(width)::value>
          <<<static_cast<unsigned>(batch * length), natlab::THREADS, 0, static_cast<cudaStream_t>(stream)>>>(
              static_cast<const T*>(logits), tokens, lengths, target_lengths, static_cast<A*>(log_probs),
              static_cast<natlab::Normaliser<A>*>(normalisers), length, vocabulary, targets);
      return static_cast<int>(cudaGetLastError());
    });
  });
}

// grad_log_probs [batch, tokens, length] -> grad_logits [batch, length, vocabulary] of `type`. order [batch, tokens]
// sorts the tokens of each sentence.
NATLAB_API int natlab_gather_log_softmax_backward(const void* logits, const int64_t* tokens, const int64_t* order,
                                                  const int64_t* target_lengths, const void* normalisers,
                                                  const void* grad_log_probs, void* grad_logits, int64_t type,
                                                  int64_t batch, int64_t length, int64_t vocabulary, int64_t targets,
                                                  void* stream) {
  if (batch * length == 0) return 0;
  return natlab::by_type(type, [&](auto element) {
    using T = decltype(element);
    using A = natlab::accumulator<T>;
    return natlab::by_width<T>(logits, grad_logits, vocabulary, [&](auto width) {
      natlab::backward<T, decltype(width)::value>
          <<<static_cast<unsigned>(batch * length), natlab::THREADS, 0, static_cast<cudaStream_t>(stream)>>>(
              static_cast<const T*>(logits), tokens, order, target_lengths,
              static_cast<const natlab::Normaliser<A>*>(normalisers), static_cast<const A*>(grad_log_probs),
              static_cast<T*>(grad_logits), length, vocabulary, targets);
      return static_cast<int>(cudaGetLastError());
    });
  });
}
