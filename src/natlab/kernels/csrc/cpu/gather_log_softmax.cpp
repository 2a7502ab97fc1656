// Log-probabilities of given tokens at every vertex; see natlab/kernels/gather_log_softmax.py.
//
// A row of logits is read twice while it is in the first cache: for its maximum, then for its sum.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <type_traits>
#include <vector>

#include "exponential.h"
#include "natlab.h"

namespace natlab {
namespace {

// The row in the type it is summed in: itself, or `converted`.
template <typename T>
const accumulator<T>* as_accumulator(const T* row, int64_t size, std::vector<accumulator<T>>& converted) {
  if constexpr (std::is_same_v<T, accumulator<T>>) {
    return row;
  } else {
    for (int64_t v = 0; v < size; ++v) converted[v] = load(row[v]);
    return converted.data();
  }
}

// log sum exp of a row in two parts, since large logits would round their sum: greatest + log_sum.
template <typename A>
struct Normaliser {
  A greatest, log_sum;
};

template <typename A>
constexpr Normaliser<A> IMPOSSIBLE = {-infinity<A>, 0};

template <typename A>
Normaliser<A> normaliser(const A* row, int64_t size) {
  A greatest = -infinity<A>;
#pragma omp simd reduction(max : greatest)
  for (int64_t v = 0; v < size; ++v) greatest = std::max(greatest, row[v]);
  if (greatest == -infinity<A>) return {std::accumulate(row, row + size, greatest), 0};  // nan where a logit is
  // short sums added up, so that the error does not grow with the vocabulary
  A sum = 0;
  for (int64_t start = 0; start < size; start += 512) {
    const int64_t stop = std::min(size, start + 512);
    A part = 0;
#pragma omp simd reduction(+ : part)
    for (int64_t v = start; v < stop; ++v) part += fast_exp(row[v] - greatest);
    sum += part;
  }
  return {greatest, std::log(sum)};
}

struct Sizes {
  int64_t batch, length, vocabulary, tokens;
};

template <typename T>
void forward(const T* logits, const int64_t* tokens, const int64_t* lengths, const int64_t* target_lengths,
             accumulator<T>* log_probs, Normaliser<accumulator<T>>* normalisers, Sizes sizes, int threads) {
  using A = accumulator<T>;
#pragma omp parallel num_threads(threads)
  {
    std::vector<A> converted(std::is_same_v<T, A> ? 0 : sizes.vocabulary);
#pragma omp for collapse(2) schedule(static)
    for (int64_t b = 0; b < sizes.batch; ++b) {
      for (int64_t l = 0; l < sizes.length; ++l) {
        const int64_t row = b * sizes.length + l;
        const int64_t* token = tokens + b * sizes.tokens;
        A* to = log_probs + b * sizes.tokens * sizes.length + l;
        const int64_t targets = l < lengths[b] ? target_lengths[b] : 0;
        normalisers[row] = IMPOSSIBLE<A>;
        if (targets) {
          const A* logit = as_accumulator(logits + row * sizes.vocabulary, sizes.vocabulary, converted);
          const Normaliser<A> whole = normalisers[row] = normaliser(logit, sizes.vocabulary);
          for (int64_t t = 0; t < targets; ++t) {
            // a row without a possible token has the normaliser -inf
            const A value = logit[token[t]];
            to[t * sizes.length] = value == -infinity<A> ? value : value - whole.greatest - whole.log_sum;
          }
        }
        for (int64_t t = targets; t < sizes.tokens; ++t) to[t * sizes.length] = -infinity<A>;
      }
    }
  }
}

template <typename T>
void backward(const T* logits, const int64_t* tokens, const int64_t* target_lengths,
              const Normaliser<accumulator<T>>* normalisers, const accumulator<T>* grad_log_probs, T* grad_logits,
              Sizes sizes, int threads) {
  using A = accumulator<T>;
#pragma omp parallel num_threads(threads)
  {
    std::vector<A> gradient(std::is_same_v<T, A> ? 0 : sizes.vocabulary);
#pragma omp for collapse(2) schedule(static)
    for (int64_t b = 0; b < sizes.batch; ++b) {
      for (int64_t l = 0; l < sizes.length; ++l) {
        const int64_t row = b * sizes.length + l;
        const T* logit = logits + row * sizes.vocabulary;
        T* to = grad_logits + row * sizes.vocabulary;
        const A greatest = normalisers[row].greatest, log_sum = normalisers[row].log_sum;
        if (greatest == -infinity<A>) {
          std::fill(to, to + sizes.vocabulary, store<T>(0));
          continue;
        }
        const int64_t* token = tokens + b * sizes.tokens;
        const A* grad = grad_log_probs + b * sizes.tokens * sizes.length + l;
        A total = 0;
        for (int64_t t = 0; t < target_lengths[b]; ++t) total += grad[t * sizes.length];
        A* sum;
        if constexpr (std::is_same_v<T, A>) {
          sum = to;
        } else {
          sum = gradient.data();
        }
#pragma omp simd
        for (int64_t v = 0; v < sizes.vocabulary; ++v) {
          sum[v] = -total * fast_exp(load(logit[v]) - greatest - log_sum);
        }
        for (int64_t t = 0; t < target_lengths[b]; ++t) sum[token[t]] += grad[t * sizes.length];
        if constexpr (!std::is_same_v<T, A>) {
          for (int64_t v = 0; v < sizes.vocabulary; ++v) to[v] = store<T>(sum[v]);
        }
      }
    }
  }
}

}  // namespace
}  // namespace natlab

// logits [batch, length, vocabulary] of `type`, tokens [batch, tokens] -> log_probs [batch, tokens, length] and
// normalisers [batch, length, 2], both in the accumulator of `type`.
NATLAB_API int natlab_gather_log_softmax(const void* logits, const int64_t* tokens, const int64_t* lengths,
                                         const int64_t* target_lengths, void* log_probs, void* normalisers,
                                         int64_t type, int64_t batch, int64_t length, int64_t vocabulary,
                                         int64_t targets, int threads) {
  if (!natlab::within(lengths, batch, length) || !natlab::within(target_lengths, batch, targets)) {
    return natlab::BAD_LENGTH;
  }
  return natlab::by_type(type, [&](auto element) {
    using T = decltype(element);
    using A = natlab::accumulator<T>;
    natlab::forward(static_cast<const T*>(logits), tokens, lengths, target_lengths, static_cast<A*>(log_probs),
                    static_cast<natlab::Normaliser<A>*>(normalisers), {batch, length, vocabulary, targets}, threads);
    return 0;
  });
}

// grad_log_probs [batch, tokens, length] -> grad_logits [batch, length, vocabulary] of `type`. CUDA needs the order.
NATLAB_API int natlab_gather_log_softmax_backward(const void* logits, const int64_t* tokens, const int64_t* /*order*/,
                                                  const int64_t* target_lengths, const void* normalisers,
                                                  const void* grad_log_probs, void* grad_logits, int64_t type,
                                                  int64_t batch, int64_t length, int64_t vocabulary, int64_t targets,
                                                  int threads) {
  return natlab::by_type(type, [&](auto element) {
    using T = decltype(element);
    using A = natlab::accumulator<T>;
    natlab::backward(static_cast<const T*>(logits), tokens, target_lengths,
                     static_cast<const natlab::Normaliser<A>*>(normalisers), static_cast<const A*>(grad_log_probs),
                     static_cast<T*>(grad_logits), {batch, length, vocabulary, targets}, threads);
    return 0;
  });
}
