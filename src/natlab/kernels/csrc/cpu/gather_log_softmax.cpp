// Log-probabilities of given tokens at every vertex; see natlab/kernels/gather_log_softmax.py.
//
// A row of logits is read twice while it is in the first cache: for its maximum, then for its sum.
#include <algorithm>
#include <type_traits>
#include <vector>

#include "exponential.h"
#include "natlab.h"
#include "normaliser.h"

namespace natlab {
namespace {

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
