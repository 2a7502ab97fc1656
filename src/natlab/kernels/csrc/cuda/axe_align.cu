// AXE's dynamic program; natlab/kernels/axe_align.py has the recurrence.
//
// A block a sentence, a thread a target: the block steps over the anti-diagonals d = i + j, of which the last three lie
// in shared memory. What was chosen at each cell is kept in global memory, anti-diagonal by anti-diagonal, and followed
// back by one thread.

#include "axe.h"

using namespace natlab;

namespace {

constexpr int64_t MOST_SHARED = 47 << 10;  // bytes: every device gives a block 48 KiB without being asked

__device__ int clamped(int64_t length, int most) {
  return static_cast<int>(length < 0 ? 0 : length > most ? most : length);
}

template <typename T, typename A = accumulator<T>>
__global__ void axe_kernel(const T* __restrict__ logp, const T* __restrict__ blank,
                           const int64_t* __restrict__ target_lengths, const int64_t* __restrict__ prediction_lengths,
                           A delta, A* __restrict__ cost, int8_t* __restrict__ operations,
                           int64_t* __restrict__ alignment, int8_t* __restrict__ choices, int targets,
                           int positions) {
  extern __shared__ double shared[];
  A* diagonals = reinterpret_cast<A*>(shared);             // [3, T + 1]
  int8_t* traced = reinterpret_cast<int8_t*>(shared);  // [T + L], once the diagonals are done with
  __shared__ int count;

  const int64_t sentence = blockIdx.x;
  const int width = targets + 1, steps = targets + positions;
  logp += sentence * targets * positions;
  blank += sentence * positions;
  choices += sentence * (steps + 1) * width;
  operations += sentence * steps;
  alignment += sentence * targets;
  const int n = clamped(target_lengths[sentence], targets), m = clamped(prediction_lengths[sentence], positions);

  for (int d = 0; d <= n + m; ++d) {
    A* here = diagonals + d % 3 * width;                     // A[i, d - i]
    const A* last = diagonals + (d + 2) % 3 * width;         // A[i, d - 1 - i]
    const A* before_last = diagonals + (d + 1) % 3 * width;  // A[i, d - 2 - i]
    for (int i = threadIdx.x; i <= n; i += blockDim.x) {
      const int j = d - i;
      if (j < 0 || j > m) continue;
      A align = infinity<A>, skip_prediction = infinity<A>, skip_target = infinity<A>;
      if (i > 0 && m > 0) {
        const A log_probability = load(logp[static_cast<int64_t>(i - 1) * positions + (j > 0 ? j - 1 : 0)]);
        skip_target = last[i - 1] - delta * log_probability;
        if (j > 0) align = before_last[i - 1] - log_probability;
      }
      if (j > 0) skip_prediction = last[i] - load(blank[j - 1]);
      const int8_t choice = choose(align, skip_prediction, skip_target);
      here[i] = d == 0 ? A{0} : choice == ALIGN ? align : choice == SKIP_PREDICTION ? skip_prediction : skip_target;
      choices[static_cast<int64_t>(d) * width + i] = choice;
    }
    __syncthreads();
  }
  const A least = diagonals[(n + m) % 3 * width + n];
  for (int i = threadIdx.x; i < targets; i += blockDim.x) alignment[i] = NONE;
  __syncthreads();  // `traced` overwrites the diagonals; thread 0 reads others' choices and writes over their NONE

  if (threadIdx.x == 0) {
    cost[sentence] = least;
    count = 0;
    for (int i = n, j = m; least < infinity<A> && i + j > 0;) {
      const int8_t operation = choices[static_cast<int64_t>(i + j) * width + i];
      traced[count++] = operation;
      if (operation != SKIP_PREDICTION) alignment[--i] = j > 0 ? j - 1 : 0;
      if (operation != SKIP_TARGET) --j;
    }
  }
  __syncthreads();
  for (int k = threadIdx.x; k < steps; k += blockDim.x) operations[k] = k < count ? traced[count - 1 - k] : NONE;
}

template <typename T, typename A = accumulator<T>>
__global__ void axe_backward_kernel(const A* grad_cost, const int8_t* operations, double delta, T* grad_logp,
                                    T* grad_blank, int64_t batch, int64_t targets, int64_t positions) {
  const int64_t b = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (b >= batch) return;
  pay(grad_cost[b], operations + b * (targets + positions), delta, grad_logp + b * targets * positions,
      grad_blank + b * positions, targets, positions);
}

}  // namespace

NATLAB_API int natlab_axe_align(const void* logp, const void* blank, const int64_t* target_lengths,
                                const int64_t* prediction_lengths, double delta, void* cost, int8_t* operations,
                                int64_t* alignment, int8_t* choices, int64_t type, int64_t batch, int64_t targets,
                                int64_t positions, void* stream) {
  if (batch == 0) return 0;
  return by_type(type, [&](auto zero) -> int {
    using T = decltype(zero);
    using A = accumulator<T>;
    const int64_t threads = std::min<int64_t>((targets + 32) / 32 * 32, 512);
    const int64_t shared = std::max<int64_t>(3 * (targets + 1) * sizeof(A), targets + positions);
    if (shared > MOST_SHARED) return UNSUPPORTED_SIZE;
    axe_kernel<<<static_cast<unsigned>(batch), static_cast<unsigned>(threads), static_cast<size_t>(shared),
                 static_cast<cudaStream_t>(stream)>>>(
        static_cast<const T*>(logp), static_cast<const T*>(blank), target_lengths, prediction_lengths,
        static_cast<A>(delta), static_cast<A*>(cost), operations, alignment, choices, static_cast<int>(targets),
        static_cast<int>(positions));
    return cudaGetLastError();
  });
}

NATLAB_API int natlab_axe_align_backward(const void* grad_cost, const int8_t* operations, double delta,
                                         void* grad_logp, void* grad_blank, int64_t type, int64_t batch,
                                         int64_t targets, int64_t positions, void* stream) {
  if (batch == 0) return 0;
  return by_type(type, [&](auto zero) -> int {
    using T = decltype(zero);
    constexpr int64_t THREADS = 32;
    axe_backward_kernel<<<static_cast<unsigned>((batch + THREADS - 1) / THREADS), THREADS, 0,
                          static_cast<cudaStream_t>(stream)>>>(
        static_cast<const accumulator<T>*>(grad_cost), operations, delta, static_cast<T*>(grad_logp),
        static_cast<T*>(grad_blank), batch, targets, positions);
    return cudaGetLastError();
  });
}
