// DA-Transformer's transition scores; see natlab/kernels/dag_links.py.
//
// Of the scores s_ijh only a block of ROWS vertices i of one head is held at a time, in a buffer a thread. Forward, one
// sentence a thread: the heads' probabilities are added up in the output itself and the logarithm taken last. Backward,
// one head of a sentence a thread: given the normalisers and the links, heads do not depend on each other.
#include <algorithm>
#include <cmath>
#include <vector>

#include "exponential.h"
#include "natlab.h"
#include "product.h"

namespace natlab {
namespace {

constexpr int64_t ROWS = PADDING;

struct Graph {
  int64_t batch, length, heads, dimension;
  int64_t band;  // transitions reach at most this many vertices on
  bool dense;

  int64_t width() const { return dense ? length : band; }
  // where (vertex, j) would be if a row of links began at j = 0
  int64_t row(int64_t sentence, int64_t vertex) const {
    return (sentence * length + vertex) * width() - (dense ? 0 : vertex + 1);
  }
  int64_t begin(int64_t vertex) const { return dense ? 0 : vertex + 1; }
  // the first vertex that cannot be reached from `vertex` for its distance or the graph's end
  int64_t end(int64_t vertex, int64_t vertices) const {
    return vertex < vertices ? std::min(vertices, vertex + 1 + band) : vertex + 1;
  }
  // a query or key, and a gate or normaliser
  int64_t vector(int64_t sentence, int64_t vertex, int64_t head) const {
    return ((sentence * length + vertex) * heads + head) * dimension;
  }
  int64_t gate(int64_t sentence, int64_t vertex, int64_t head) const {
    return (sentence * length + vertex) * heads + head;
  }
};

// The scores of a block of rows of one head: what they are made of and where they go. Padding is zero throughout.
template <typename T>
struct Scores {
  const Graph& graph;
  const T *query, *key;
  const int64_t columns, depth;  // padded sizes of the graph and of a head
  const T scale;
  std::vector<T> queries;  // [ROWS, depth], times scale
  std::vector<T> keys;     // [columns, dimension] transposed, in panels
  std::vector<T> values;   // [ROWS, columns]: of row i and vertex j at [i - first, j - first]

  Scores(const Graph& graph, const T* query, const T* key)
      : graph(graph),
        query(query),
        key(key),
        columns(padded(graph.length)),
        depth(padded(graph.dimension)),
        scale(1 / std::sqrt(static_cast<T>(graph.dimension))),
        queries(ROWS * depth),
        keys(columns * graph.dimension),
        values(ROWS * columns) {}

  void pack_keys(int64_t sentence, int64_t head, int64_t vertices) {
    constexpr int64_t WIDTH = BLOCK_COLUMNS<T>;
    std::fill(keys.begin(), keys.end(), T(0));
    for (int64_t j = 0; j < vertices; ++j) {
      const T* from = key + graph.vector(sentence, j, head);
      T* to = keys.data() + j / WIDTH * WIDTH * graph.dimension + j % WIDTH;
      for (int64_t d = 0; d < graph.dimension; ++d) to[d * WIDTH] = from[d];
    }
  }

  // The scores of rows first .. first + ROWS - 1 (first a multiple of ROWS) with vertices first .. first + count - 1.
  void compute(int64_t sentence, int64_t head, int64_t vertices, int64_t first, int64_t count) {
    std::fill(queries.begin(), queries.end(), T(0));
    for (int64_t i = first; i < std::min(vertices, first + ROWS); ++i) {
      const T* from = query + graph.vector(sentence, i, head);
      for (int64_t d = 0; d < graph.dimension; ++d) queries[(i - first) * depth + d] = from[d] * scale;
    }
    constexpr int64_t WIDTH = BLOCK_COLUMNS<T>;
    multiply<false>(ROWS, padded(count), graph.dimension, Left<T>{queries.data(), depth, 1},
                    Right<T>{keys.data() + first * graph.dimension, WIDTH * graph.dimension, WIDTH}, values.data(),
                    columns);
  }

  // Where the score with vertex j = 0 of a row would be.
  T* row(int64_t vertex, int64_t first) { return values.data() + (vertex - first) * columns - first; }
};

// log sum_h exp(gate + score - normaliser) with nothing kept from underflowing sums: one score at a time.
template <typename T>
T exact_link(const Graph& graph, const T* query, const T* key, const T* gate, const T* normaliser, int64_t sentence,
             int64_t i, int64_t j) {
  const T scale = 1 / std::sqrt(static_cast<T>(graph.dimension));
  T greatest = -infinity<T>, sum = 0;
  for (int64_t h = 0; h < graph.heads; ++h) {
    const T log_gate = gate[graph.gate(sentence, i, h)];
    if (log_gate == -infinity<T>) continue;
    const T* q = query + graph.vector(sentence, i, h);
    const T* k = key + graph.vector(sentence, j, h);
    T score = 0;
    for (int64_t d = 0; d < graph.dimension; ++d) score += q[d] * scale * k[d];
    const T term = log_gate + score - normaliser[graph.gate(sentence, i, h)];
    if (term > greatest) {
      sum = sum * std::exp(greatest - term) + 1;
      greatest = term;
    } else {
      sum += std::exp(term - greatest);
    }
  }
  return sum > 0 ? greatest + std::log(sum) : -infinity<T>;
}

template <typename T>
void forward(const T* query, const T* key, const T* gates, const int64_t* lengths, T* links, T* normalisers,
             const Graph& graph, int threads) {
#pragma omp parallel num_threads(threads)
  {
    Scores<T> scores(graph, query, key);
#pragma omp for schedule(dynamic)
    for (int64_t b = 0; b < graph.batch; ++b) {
      const int64_t vertices = lengths[b];
      for (int64_t i = 0; i < graph.length; ++i) {
        std::fill(links + graph.row(b, i) + graph.begin(i), links + graph.row(b, i) + graph.begin(i) + graph.width(),
                  -infinity<T>);
        std::fill(links + graph.row(b, i) + i + 1, links + graph.row(b, i) + graph.end(i, vertices), T(0));
        std::fill(normalisers + graph.gate(b, i, 0), normalisers + graph.gate(b, i + 1, 0), -infinity<T>);
      }
      for (int64_t h = 0; h < graph.heads; ++h) {
        scores.pack_keys(b, h, vertices);
        for (int64_t first = 0; first < vertices - 1; first += ROWS) {
          const int64_t last = std::min(vertices - 1, first + ROWS);  // the graph's last vertex has no transition
          scores.compute(b, h, vertices, first, graph.end(last - 1, vertices) - first);
          for (int64_t i = first; i < last; ++i) {
            const int64_t end = graph.end(i, vertices);
            T* score = scores.row(i, first);
            T greatest = -infinity<T>, sum = 0;
#pragma omp simd reduction(max : greatest)
            for (int64_t j = i + 1; j < end; ++j) greatest = std::max(greatest, score[j]);
#pragma omp simd reduction(+ : sum)
            for (int64_t j = i + 1; j < end; ++j) sum += score[j] = fast_exp(score[j] - greatest);
            normalisers[graph.gate(b, i, h)] = greatest + std::log(sum);
            const T factor = std::exp(gates[graph.gate(b, i, h)]) / sum;
            T* link = links + graph.row(b, i);
#pragma omp simd
            for (int64_t j = i + 1; j < end; ++j) link[j] += factor * score[j];
          }
        }
      }
      // what an underflowing term would have added is lost in larger sums, but not in smaller ones
      constexpr T EXACT = std::numeric_limits<T>::min() / std::numeric_limits<T>::epsilon();
      for (int64_t i = 0; i < vertices - 1; ++i) {
        T* link = links + graph.row(b, i);
        const int64_t end = graph.end(i, vertices);
        T least = infinity<T>;
#pragma omp simd reduction(min : least)
        for (int64_t j = i + 1; j < end; ++j) least = std::min(least, link[j]);
        if (least > EXACT) {
#pragma omp simd
          for (int64_t j = i + 1; j < end; ++j) link[j] = fast_log(link[j]);
        } else {
          for (int64_t j = i + 1; j < end; ++j) {
            link[j] = link[j] <= EXACT ? exact_link(graph, query, key, gates, normalisers, b, i, j) : std::log(link[j]);
          }
        }
      }
    }
  }
}

template <typename T>
void backward(const T* query, const T* key, const T* gates, const int64_t* lengths, const T* links,
              const T* normalisers, const T* grad_links, T* grad_query, T* grad_key, T* grad_gates, const Graph& graph,
              int threads) {
#pragma omp parallel num_threads(threads)
  {
    Scores<T> scores(graph, query, key);
    const int64_t columns = scores.columns, depth = scores.depth, dimension = graph.dimension;
    std::vector<T> probabilities(columns);
    std::vector<T> keys(columns * depth), grad_keys(columns * depth), grad_queries(ROWS * depth);
#pragma omp for collapse(2) schedule(dynamic)
    for (int64_t b = 0; b < graph.batch; ++b) {
      for (int64_t h = 0; h < graph.heads; ++h) {
        const int64_t vertices = lengths[b];
        scores.pack_keys(b, h, vertices);
        std::fill(keys.begin(), keys.end(), T(0));
        std::fill(grad_keys.begin(), grad_keys.end(), T(0));
        for (int64_t j = 0; j < vertices; ++j) {
          const T* from = key + graph.vector(b, j, h);
          for (int64_t d = 0; d < dimension; ++d) keys[j * depth + d] = from[d];
        }
        for (int64_t first = 0; first < vertices - 1; first += ROWS) {
          const int64_t last = std::min(vertices - 1, first + ROWS);
          const int64_t count = graph.end(last - 1, vertices) - first;
          scores.compute(b, h, vertices, first, count);
          for (int64_t i = first; i < first + ROWS; ++i) {
            T* score = scores.row(i, first);  // becomes its own gradient
            if (i >= last) {
              std::fill(score + first, score + first + padded(count), T(0));
              continue;
            }
            const int64_t end = graph.end(i, vertices);
            const T normaliser = normalisers[graph.gate(b, i, h)], gate = gates[graph.gate(b, i, h)];
            const T* link = links + graph.row(b, i);
            const T* grad = grad_links + graph.row(b, i);
            T* probability = probabilities.data();
            T grad_gate = 0;
#pragma omp simd reduction(+ : grad_gate)
            for (int64_t j = i + 1; j < end; ++j) {
              const T log_probability = score[j] - normaliser;
              probability[j] = fast_exp(log_probability);
              // this head's share of the link; an impossible link has no gradient, whatever comes from above
              const T share = fast_exp(gate + log_probability - link[j]);
              score[j] = link[j] == -infinity<T> ? T(0) : grad[j] * share;
              grad_gate += score[j];
            }
#pragma omp simd
            for (int64_t j = i + 1; j < end; ++j) score[j] -= grad_gate * probability[j];
            std::fill(score + first, score + i + 1, T(0));
            std::fill(score + end, score + first + padded(count), T(0));
            grad_gates[graph.gate(b, i, h)] = grad_gate;
          }
          multiply<false>(ROWS, depth, count, Left<T>{scores.values.data(), columns, 1},
                          Right<T>{keys.data() + first * depth, BLOCK_COLUMNS<T>, depth}, grad_queries.data(), depth);
          multiply<true>(padded(count), depth, ROWS, Left<T>{scores.values.data(), 1, columns},
                         Right<T>{scores.queries.data(), BLOCK_COLUMNS<T>, depth}, grad_keys.data() + first * depth,
                         depth);
          for (int64_t i = first; i < last; ++i) {
            T* to = grad_query + graph.vector(b, i, h);
            for (int64_t d = 0; d < dimension; ++d) {
              to[d] = grad_queries[(i - first) * depth + d] * scores.scale;
            }
          }
        }
        for (int64_t j = 0; j < graph.length; ++j) {
          T* to = grad_key + graph.vector(b, j, h);
          for (int64_t d = 0; d < dimension; ++d) to[d] = j < vertices ? grad_keys[j * depth + d] : T(0);
        }
        for (int64_t i = std::max<int64_t>(vertices - 1, 0); i < graph.length; ++i) {
          std::fill_n(grad_query + graph.vector(b, i, h), dimension, T(0));
          grad_gates[graph.gate(b, i, h)] = 0;
        }
      }
    }
  }
}

}  // namespace
}  // namespace natlab

// query, key [batch, length, heads, dimension], gates [batch, length, heads] -> links [batch, length, length], or
// [batch, length, band] where band > 0, and normalisers [batch, length, heads]; all of `type`, float32 or float64.
NATLAB_API int natlab_dag_links(const void* query, const void* key, const void* gates, const int64_t* lengths,
                                void* links, void* normalisers, int64_t type, int64_t batch, int64_t length,
                                int64_t heads, int64_t dimension, int64_t band, int threads) {
  if (!natlab::within(lengths, batch, length)) return natlab::BAD_LENGTH;
  const natlab::Graph graph{batch, length, heads, dimension, band ? band : length, band == 0};
  return natlab::by_accumulator(type, [&](auto element) {
    using T = decltype(element);
    natlab::forward(static_cast<const T*>(query), static_cast<const T*>(key), static_cast<const T*>(gates), lengths,
                    static_cast<T*>(links), static_cast<T*>(normalisers), graph, threads);
    return 0;
  });
}

// grad_links as links -> grad_query, grad_key and grad_gates as query, key and gates.
NATLAB_API int natlab_dag_links_backward(const void* query, const void* key, const void* gates, const int64_t* lengths,
                                         const void* links, const void* normalisers, const void* grad_links,
                                         void* grad_query, void* grad_key, void* grad_gates, int64_t type,
                                         int64_t batch, int64_t length, int64_t heads, int64_t dimension, int64_t band,
                                         int threads) {
  const natlab::Graph graph{batch, length, heads, dimension, band ? band : length, band == 0};
  return natlab::by_accumulator(type, [&](auto element) {
    using T = decltype(element);
    natlab::backward(static_cast<const T*>(query), static_cast<const T*>(key), static_cast<const T*>(gates), lengths,
                     static_cast<const T*>(links), static_cast<const T*>(normalisers),
                     static_cast<const T*>(grad_links), static_cast<T*>(grad_query), static_cast<T*>(grad_key),
                     static_cast<T*>(grad_gates), graph, threads);
    return 0;
  });
}
