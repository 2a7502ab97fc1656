// The probability of targets under graphs; see natlab/kernels/dag_loss.py.
//
// Token t's probabilities are divided by their greatest, g[t], in its window. So as long as a vertex' transitions sum
// to at most S, no a or b exceeds S^(M - 1), nothing overflows, and what underflows (each term is then below e^-708)
// can only matter if all of P / (g[0] ... g[M - 1]) is nearly as small. Sentences for which that is so, or for which a
// transition is itself too small for its type, are done in logarithms.
#include <algorithm>
#include <cmath>

#include "dag.h"
#include "exponential.h"
#include "product.h"
#include "natlab.h"

namespace natlab {
namespace {

constexpr double LEAST = -650;  // of log(P / (g[0] ... g[M - 1])), and so that its inverse is finite
constexpr double MOST = 300;    // of log S^(M - 1), so that a b is finite

// One sentence. Rows of a, b and of what is made of them are `width` long.
struct Sentence {
  int64_t targets, vertices, reach, length, width;

  Window window(int64_t t) const { return window_of(t, targets, vertices, reach); }
  double at_end(const double* alpha) const { return alpha[(targets - 1) * width + vertices - 1]; }

  bool possible() const {
    if (targets < 1 || targets > vertices) return false;
    const Window start = window(0);
    return start.first <= start.last;
  }
};

// to[c] += sum_r a[r] p[r, c], over ROWS rows
inline void add_product(const double* p, int64_t p_width, const double* a, double* to, int64_t size) {
  static_assert(ROWS == 8);
  const double a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3], a4 = a[4], a5 = a[5], a6 = a[6], a7 = a[7];
  const double *p1 = p + p_width, *p2 = p1 + p_width, *p3 = p2 + p_width, *p4 = p3 + p_width, *p5 = p4 + p_width,
               *p6 = p5 + p_width, *p7 = p6 + p_width;
#pragma omp simd
  for (int64_t c = 0; c < size; ++c) {
    const double odd = ((a1 * p1[c] + a3 * p3[c]) + a5 * p5[c]) + a7 * p7[c];
    to[c] = ((((to[c] + a0 * p[c]) + a2 * p2[c]) + a4 * p4[c]) + a6 * p6[c]) + odd;
  }
}

// to[r] = sum_c p[r, c] b[c], over ROWS rows
inline void products(const double* p, int64_t p_width, const double* b, double* to, int64_t size) {
  static_assert(ROWS == 8);
  const double *p1 = p + p_width, *p2 = p1 + p_width, *p3 = p2 + p_width, *p4 = p3 + p_width, *p5 = p4 + p_width,
               *p6 = p5 + p_width, *p7 = p6 + p_width;
  double s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3, s4, s5, s6, s7)
  for (int64_t c = 0; c < size; ++c) {
    s0 += p[c] * b[c], s1 += p1[c] * b[c], s2 += p2[c] * b[c], s3 += p3[c] * b[c];
    s4 += p4[c] * b[c], s5 += p5[c] * b[c], s6 += p6[c] * b[c], s7 += p7[c] * b[c];
  }
  to[0] = s0, to[1] = s1, to[2] = s2, to[3] = s3, to[4] = s4, to[5] = s5, to[6] = s6, to[7] = s7;
}

// row *= exp(match - greatest) inside the window, = 0 elsewhere
template <typename T>
void emit(const T* match, double greatest, Window window, double* row, int64_t width) {
  std::fill(row, row + window.first, 0.0);
#pragma omp simd
  for (int64_t j = window.first; j <= window.last; ++j) row[j] *= fast_exp<double>(match[j] - greatest);
  std::fill(row + window.last + 1, row + width, 0.0);
}

// The greatest sum of a vertex' transitions; infinite if one of them was lost or overflowed in `packed`.
template <typename T>
double greatest_sum(const Graph<const T>& graph, const Packed<double>& packed) {
  double greatest = 0;
  for (int64_t i = 0; i < graph.vertices; ++i) {
    const int64_t last = graph.last(i);
    const T* from = graph.row(i);
    const double* to = packed.row(i);
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = i + 1; j <= last; ++j) {
      sum += to[j] > 0 || from[j] == -infinity<T> ? to[j] : infinity<double>;
    }
    greatest = std::max<double>(greatest, sum);
  }
  return greatest;
}

// Fills `alpha` [targets, width] and `greatest` [targets] and returns the log-probability, or nan if logarithms are
// needed.
template <typename T>
double forward(const Sentence& sentence, const T* match, const Packed<double>& packed, double sum, double* alpha,
               double* greatest) {
  double total = 0;
  for (int64_t t = 0; t < sentence.targets; ++t) {
    const Window window = sentence.window(t);
    const T* emission = match + t * sentence.length;
    T most = -infinity<T>;
#pragma omp simd reduction(max : most)
    for (int64_t j = window.first; j <= window.last; ++j) most = std::max(most, emission[j]);
    if (most == -infinity<T>) return -infinity<double>;
    greatest[t] = most;
    total += most;
    double* row = alpha + t * sentence.width;
    std::fill(row, row + sentence.width, t ? 0.0 : 1.0);
    if (t) {
      const Window before = sentence.window(t - 1);
      for (int64_t i = before.first / ROWS * ROWS; i <= before.last; i += ROWS) {
        const int64_t size = packed.columns(i, window.last, sentence.width);
        add_product(packed.rows(i), packed.width, row - sentence.width + i, row + i, size);
      }
    }
    emit(emission, most, window, row, sentence.width);
  }
  const double excess = (sentence.targets - 1) * std::max(0.0, std::log(sum));
  const double log_prob = std::log(sentence.at_end(alpha));
  const bool exact = excess <= MOST && log_prob >= excess + LEAST;
  return exact ? total + log_prob : std::numeric_limits<double>::quiet_NaN();
}

// Fills `beta` [targets, width] with b, and grad_match [targets, length].
template <typename T>
void backward(const Sentence& sentence, const T* match, const Packed<double>& packed, const double* alpha,
              const double* greatest, double grad, double* beta, T* grad_match) {
  const double scale = grad / sentence.at_end(alpha);
  for (int64_t t = sentence.targets - 1; t >= 0; --t) {
    const Window window = sentence.window(t);
    double* row = beta + t * sentence.width;
    if (t == sentence.targets - 1) {
      row[sentence.vertices - 1] = 1;
    } else {
      const Window after = sentence.window(t + 1);
      for (int64_t i = window.first / ROWS * ROWS; i <= window.last; i += ROWS) {
        const int64_t size = packed.columns(i, after.last, sentence.width);
        products(packed.rows(i), packed.width, row + sentence.width + i, row + i, size);
      }
    }
    const double* a = alpha + t * sentence.width;
    T* to = grad_match + t * sentence.length;
    std::fill(to, to + sentence.length, T(0));
    for (int64_t j = window.first; j <= window.last; ++j) {
      to[j] = static_cast<T>(a[j] * row[j] * scale);
    }
    emit(match + t * sentence.length, greatest[t], window, row, sentence.width);
  }
}

// Calls function(i, j, rows, columns) for blocks that hold all transitions of the graph. The blocks lie within the
// packed rows and a row of `width`.
template <typename Function>
void each_block(const Sentence& sentence, Function&& function) {
  for (int64_t i = 0; i < sentence.vertices; i += PADDING) {
    const int64_t last = std::min(i + PADDING - 1 + sentence.reach, sentence.vertices - 1);
    for (int64_t j = i; j <= last; j += 2 * PADDING) function(i, j, std::min(2 * PADDING, sentence.width - j));
  }
}

// The tokens t for which t - 1 can be in the rows [i, i + rows) and t in the columns [j, j + columns): from first on
// to last.
Window tokens_between(const Sentence& sentence, int64_t i, int64_t rows, int64_t j, int64_t columns) {
  Window tokens{1, sentence.targets - 1};
  const auto before = [&](int64_t t) { return sentence.window(t - 1).last < i || sentence.window(t).last < j; };
  const auto behind = [&](int64_t t) {
    return sentence.window(t - 1).first >= i + rows || sentence.window(t).first >= j + columns;
  };
  while (tokens.first <= tokens.last && before(tokens.first)) ++tokens.first;
  while (tokens.first <= tokens.last && behind(tokens.last)) --tokens.last;
  return tokens;
}

// The gradient of the transitions that exist.
template <typename T>
void transitions_backward(const Sentence& sentence, const Packed<double>& packed, const double* alpha,
                          const double* beta, double grad, const Graph<T>& to) {
  const double scale = grad / sentence.at_end(alpha);
  double block[PADDING * 2 * PADDING];
  each_block(sentence, [&](int64_t i, int64_t j, int64_t size) {
    const Window tokens = tokens_between(sentence, i, PADDING, j, size);
    const Left<double> left{alpha + (tokens.first - 1) * sentence.width + i, 1, sentence.width};
    const Right<double> right{beta + tokens.first * sentence.width + j, BLOCK_COLUMNS<double>, sentence.width};
    const int64_t steps = std::max<int64_t>(tokens.last + 1 - tokens.first, 0);
    multiply<false>(PADDING, size, steps, left, right, block, 2 * PADDING);
    for (int64_t row = i; row < std::min(i + PADDING, sentence.vertices); ++row) {
      const double* p = packed.row(row);
      const double* sum = block + (row - i) * 2 * PADDING - j;
      T* grads = to.row(row);
      const int64_t stop = std::min(to.last(row) + 1, j + size);
#pragma omp simd
      for (int64_t column = std::max(row + 1, j); column < stop; ++column) {
        grads[column] = static_cast<T>(sum[column] * p[column] * scale);
      }
    }
  });
}

// The same in logarithms, for `packed` transitions in logarithms. Exponentials are of numbers up to 0, and as exact as
// the inputs.

template <typename T>
double log_forward(const Sentence& sentence, const T* match, const Packed<double>& packed, double* alpha,
                   double* greatest) {
  Buffer<double> room(sentence.width);
  double* most = room.get();
  for (int64_t t = 0; t < sentence.targets; ++t) {
    const Window window = sentence.window(t);
    double* row = alpha + t * sentence.width;
    std::fill(row, row + sentence.width, 0.0);
    std::fill(most, most + sentence.width, t ? -infinity<double> : 0.0);
    if (t) {
      const double* a = row - sentence.width;
      const Window before = sentence.window(t - 1);
      const auto each_row = [&](auto&& function) {
        for (int64_t i = before.first; i <= before.last; ++i) {
          const int64_t first = i / ROWS * ROWS, size = packed.columns(first, window.last, sentence.width);
          const double* p = packed.row(i);
          function(a[i], p, first, first + size);
        }
      };
      each_row([&](double from, const double* p, int64_t start, int64_t stop) {
#pragma omp simd
        for (int64_t j = start; j < stop; ++j) most[j] = std::max(most[j], from + p[j]);
      });
      each_row([&](double from, const double* p, int64_t start, int64_t stop) {
#pragma omp simd
        for (int64_t j = start; j < stop; ++j) {
          row[j] += most[j] == -infinity<double> ? 0.0 : fast_exp(static_cast<T>(from + p[j] - most[j]));
        }
      });
    } else {
      row[0] = 1;
    }
    for (int64_t j = 0; j < sentence.width; ++j) {
      const bool inside = window.first <= j && j <= window.last;
      row[j] = inside ? most[j] + std::log(row[j]) + match[t * sentence.length + j] : -infinity<double>;
    }
    greatest[t] = infinity<double>;
  }
  return sentence.at_end(alpha);
}

template <typename T>
void log_backward(const Sentence& sentence, const T* match, const Packed<double>& packed, const double* alpha,
                  double grad, double* beta, T* grad_match) {
  const double log_prob = sentence.at_end(alpha);
  for (int64_t t = sentence.targets - 1; t >= 0; --t) {
    const Window window = sentence.window(t);
    double* row = beta + t * sentence.width;
    const double* after = row + sentence.width;
    T* to = grad_match + t * sentence.length;
    std::fill(to, to + sentence.length, T(0));
    std::fill(row, row + sentence.width, -infinity<double>);
    for (int64_t i = window.first; i <= window.last; ++i) {
      double value = 0;
      if (t < sentence.targets - 1) {
        const Window next = sentence.window(t + 1);
        const int64_t first = i / ROWS * ROWS;
        const int64_t stop = first + packed.columns(first, next.last, sentence.width);
        const double* p = packed.row(i);
        double most = -infinity<double>, sum = 0;
#pragma omp simd reduction(max : most)
        for (int64_t j = first; j < stop; ++j) most = std::max(most, p[j] + after[j]);
        if (most == -infinity<double>) continue;
#pragma omp simd reduction(+ : sum)
        for (int64_t j = first; j < stop; ++j) sum += fast_exp(static_cast<T>(p[j] + after[j] - most));
        value = most + std::log(sum);
      }
      const double posterior = fast_exp<double>(alpha[t * sentence.width + i] + value - log_prob);
      to[i] = static_cast<T>(grad * posterior);
      row[i] = value + match[t * sentence.length + i];
    }
  }
}

template <typename T>
void log_transitions_backward(const Sentence& sentence, const Packed<double>& packed, const double* alpha,
                              const double* beta, double grad, const Graph<T>& to) {
  const double log_prob = sentence.at_end(alpha);
  Buffer<double> room(sentence.width);
  double* sum = room.get();
  for (int64_t i = 0; i < sentence.vertices; ++i) {
    const int64_t stop = to.last(i) + 1;
    const double* p = packed.row(i);
    std::fill(sum, sum + sentence.width, 0.0);
    for (int64_t t = 1; t < sentence.targets; ++t) {
      const double from = alpha[(t - 1) * sentence.width + i] - log_prob;
      if (from == -infinity<double>) continue;
      const double* b = beta + t * sentence.width;
#pragma omp simd
      for (int64_t j = i + 1; j < stop; ++j) sum[j] += fast_exp(static_cast<T>(from + p[j] + b[j]));
    }
    T* grads = to.row(i);
    for (int64_t j = i + 1; j < stop; ++j) grads[j] = static_cast<T>(grad * sum[j]);
  }
}

struct Sizes {
  int64_t batch, targets, length, band;
};

template <typename T>
void forward_batch(const T* match, const T* transitions, const int64_t* graph_lengths, const int64_t* target_lengths,
                   T* log_probs, double* alpha, double* greatest, Sizes sizes, int threads) {
  const int64_t width = rounded(sizes.length, COLUMNS);
#pragma omp parallel num_threads(threads)
  {
    Buffer<double> room(Packed<double>::size_of(sizes.length, sizes.band));
#pragma omp for schedule(dynamic)
    for (int64_t b = 0; b < sizes.batch; ++b) {
      const auto graph = graph_of(transitions, b, sizes.length, sizes.band, graph_lengths[b]);
      const int64_t targets = target_lengths[b] <= sizes.targets ? target_lengths[b] : 0;
      const Sentence sentence{targets, graph.vertices, graph.reach, sizes.length, width};
      const T* emissions = match + b * sizes.targets * sizes.length;
      double* a = alpha + b * sizes.targets * width;
      double* g = greatest + b * sizes.targets;
      double log_prob = -infinity<double>;
      if (sentence.possible()) {
        Packed<double> packed{room.get(), 0, 0, Packed<double>::width_of(sizes.length, sizes.band)};
        pack(graph, packed, 0.0, [](T transition) -> double { return fast_exp(transition); });
        log_prob = forward(sentence, emissions, packed, greatest_sum(graph, packed), a, g);
        if (log_prob != log_prob) {
          pack(graph, packed, -infinity<double>, [](T transition) -> double { return transition; });
          log_prob = log_forward(sentence, emissions, packed, a, g);
        }
      }
      const int64_t kept = log_prob == -infinity<double> ? 0 : sentence.targets;
      std::fill(a + kept * width, a + sizes.targets * width, 0.0);
      std::fill(g + kept, g + sizes.targets, -infinity<double>);
      log_probs[b] = static_cast<T>(log_prob);
    }
  }
}

template <typename T>
void backward_batch(const T* grad, const T* match, const T* transitions, const int64_t* graph_lengths,
                    const int64_t* target_lengths, const double* alpha, const double* greatest, T* grad_match,
                    T* grad_transitions, Sizes sizes, int threads) {
  const int64_t width = rounded(sizes.length, COLUMNS);
#pragma omp parallel num_threads(threads)
  {
    Buffer<double> room(Packed<double>::size_of(sizes.length, sizes.band));
    Buffer<double> beta(sizes.targets * width);
#pragma omp for schedule(dynamic)
    for (int64_t b = 0; b < sizes.batch; ++b) {
      const auto graph = graph_of(transitions, b, sizes.length, sizes.band, graph_lengths[b]);
      const auto to = graph_of(grad_transitions, b, sizes.length, sizes.band, graph_lengths[b]);
      const int64_t targets = target_lengths[b] <= sizes.targets ? target_lengths[b] : 0;
      const Sentence sentence{targets, graph.vertices, graph.reach, sizes.length, width};
      const T* emissions = match + b * sizes.targets * sizes.length;
      T* to_match = grad_match + b * sizes.targets * sizes.length;
      const double* a = alpha + b * sizes.targets * width;
      const double* g = greatest + b * sizes.targets;
      const bool possible = sizes.targets > 0 && g[0] > -infinity<double>;

      // all but what the recurrences fill
      const int64_t filled = possible ? sentence.targets : 0;
      std::fill(to_match + filled * sizes.length, to_match + sizes.targets * sizes.length, T(0));
      for (int64_t i = 0; i < sizes.length; ++i) {
        T* row = to.data + i * to.stride;
        T* start = possible && i < graph.vertices ? to.row(i) + i + 1 : row;
        T* stop = possible && i < graph.vertices ? to.row(i) + to.last(i) + 1 : row;
        std::fill(row, start, T(0));
        std::fill(stop, row + to.stride, T(0));
      }
      if (!possible) continue;

      Packed<double> packed{room.get(), 0, 0, Packed<double>::width_of(sizes.length, sizes.band)};
      if (g[0] == infinity<double>) {
        pack(graph, packed, -infinity<double>, [](T transition) -> double { return transition; });
        log_backward(sentence, emissions, packed, a, grad[b], beta.get(), to_match);
        log_transitions_backward(sentence, packed, a, beta.get(), grad[b], to);
      } else {
        pack(graph, packed, 0.0, [](T transition) -> double { return fast_exp(transition); });
        backward(sentence, emissions, packed, a, g, grad[b], beta.get(), to_match);
        transitions_backward(sentence, packed, a, beta.get(), grad[b], to);
      }
    }
  }
}

}  // namespace
}  // namespace natlab

// match [batch, targets, length] and transitions [batch, length, length or band] -> log_probs [batch], all of `type`
// (float32 or float64), alpha [batch, targets, length rounded up to COLUMNS] and greatest [batch, targets]. The latter
// is -inf throughout an impossible sentence, and inf throughout one whose alpha is in logarithms.
NATLAB_API int natlab_dag_loss(const void* match, const void* transitions, const int64_t* graph_lengths,
                               const int64_t* target_lengths, void* log_probs, double* alpha, double* greatest,
                               int64_t type, int64_t batch, int64_t targets, int64_t length, int64_t band,
                               int threads) {
  return natlab::by_accumulator(type, [&](auto element) {
    using T = decltype(element);
    natlab::forward_batch(static_cast<const T*>(match), static_cast<const T*>(transitions), graph_lengths,
                          target_lengths, static_cast<T*>(log_probs), alpha, greatest, {batch, targets, length, band},
                          threads);
    return 0;
  });
}

// grad [batch] -> grad_match and grad_transitions, as match and transitions. (CUDA needs a workspace.)
NATLAB_API int natlab_dag_loss_backward(const void* grad, const void* match, const void* transitions,
                                        const int64_t* graph_lengths, const int64_t* target_lengths,
                                        const double* alpha, const double* greatest, void* /*workspace*/,
                                        void* grad_match, void* grad_transitions, int64_t type, int64_t batch,
                                        int64_t targets, int64_t length, int64_t band, int threads) {
  return natlab::by_accumulator(type, [&](auto element) {
    using T = decltype(element);
    natlab::backward_batch(static_cast<const T*>(grad), static_cast<const T*>(match),
                           static_cast<const T*>(transitions), graph_lengths, target_lengths, alpha, greatest,
                           static_cast<T*>(grad_match), static_cast<T*>(grad_transitions),
                           {batch, targets, length, band}, threads);
    return 0;
  });
}
