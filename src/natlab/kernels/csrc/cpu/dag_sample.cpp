// Sampling of graphs; see natlab/kernels/dag_sample.py.
//
// The distribution at a vertex is made when the first path comes to it, and once: paths of one sentence visit a small
// part of its vertices, again and again.
#include "dag_sample.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "dag.h"
#include "exponential.h"
#include "natlab.h"

namespace natlab {
namespace {

struct Sizes {
  int64_t batch, length, samples;
};

// exp of score j over the sum of all such.
template <typename T>
void likelihoods(const T* scores, int64_t vertices, std::vector<double>& likely) {
  double best = -infinity<double>;
  for (int64_t j = 0; j < vertices; ++j) best = std::max(best, static_cast<double>(scores[j]));
  if (best == -infinity<double>) best = 0;
  int64_t total = 0;
  for (int64_t j = 0; j < vertices; ++j) {
    const int64_t mass = whole(fast_exp(static_cast<double>(scores[j]) - best));
    likely[j] = static_cast<double>(mass);
    total += mass;
  }
  for (int64_t j = 0; j < vertices; ++j) likely[j] /= static_cast<double>(std::max<int64_t>(total, 1));
}

// One past the last of the keys that are kept, these being brought before the others, in no order.
uint64_t* kept(uint64_t* begin, uint64_t* end, int64_t mass) {
  uint64_t *first = begin, *last = end;  // what ends the kept ones lies between
  while (last - first > 1) {
    uint64_t* middle = first + (last - first) / 2;
    std::nth_element(first, middle, last, std::greater<>());
    int64_t greater = 0;
    for (const uint64_t* key = first; key < middle; ++key) greater += mass_of(*key);
    if (greater >= mass) {
      last = middle;
    } else {
      mass -= greater;
      first = middle;
    }
  }
  return last;
}

// A sentence's distributions at the vertices that have been visited.
template <typename T>
class Distributions {
 public:
  Distributions(const Graph<const T>& graph, const double* likely, double temperature, double top_p)
      : graph_(graph), likely_(likely), temperature_(temperature), top_p_(top_p), rows_(graph.vertices, {-1, -1}) {}

  // A successor of vertex i for a hypothesis; -1 where there is none.
  int64_t draw(int64_t i, int64_t seed, int64_t hypothesis) {
    if (rows_[i].begin < 0) make(i);
    const Row row = rows_[i];
    if (row.begin == row.end) return -1;
    const auto begin = cumulative_.begin() + row.begin, end = cumulative_.begin() + row.end;
    const auto found = std::upper_bound(begin, end, drawn(*(end - 1), seed, hypothesis, i));
    return successors_[found - cumulative_.begin()];
  }

 private:
  struct Row {
    int64_t begin, end;
  };

  void make(int64_t i) {
    const T* transitions = graph_.row(i);
    const int64_t first = i + 1, size = graph_.last(i) + 1 - first;
    keys_.resize(size);
    masses_.resize(size);
    for (int64_t n = 0; n < size; ++n) {
      const double transition = transitions[first + n];
      masses_[n] = fast_exp(transition < 0 ? transition : 0.0) + likely_[first + n];
    }
    int64_t present = 0, total = 0;
    for (int64_t n = 0; n < size; ++n) {
      if (!(transitions[first + n] > -infinity<T>)) continue;
      const int64_t mass = whole(masses_[n]);
      keys_[present++] = key_of(mass, first + n);
      total += mass;
    }
    uint64_t *begin = keys_.data(), *end = begin + present;
    if (top_p_ < 1) end = kept(begin, end, needed(total, top_p_));
    const auto greatest = begin == end ? 0 : mass_of(*std::max_element(begin, end));
    std::sort(begin, end, [](uint64_t one, uint64_t other) { return vertex_of(one) < vertex_of(other); });
    rows_[i].begin = static_cast<int64_t>(successors_.size());
    const double scale = UNIT * temperature_;
    for (int64_t n = 0; n < end - begin; ++n) {
      masses_[n] = fast_exp(static_cast<double>(mass_of(begin[n]) - greatest) / scale);
    }
    int64_t sum = 0;
    for (int64_t n = 0; n < end - begin; ++n) {
      sum += whole(masses_[n]);
      successors_.push_back(vertex_of(begin[n]));
      cumulative_.push_back(sum);
    }
    rows_[i].end = static_cast<int64_t>(successors_.size());
  }

  Graph<const T> graph_;
  const double* likely_;
  double temperature_, top_p_;
  std::vector<Row> rows_;
  std::vector<int64_t> successors_, cumulative_;  // of all rows, one after the other
  std::vector<uint64_t> keys_;                    // a row's
  std::vector<double> masses_;
};

template <typename T>
void sample(const T* transitions, const T* scores, const int64_t* graph_lengths, const int64_t* seeds, int64_t* paths,
            T* of_transitions, T* of_scores, Sizes sizes, double temperature, double top_p, int threads) {
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (int64_t b = 0; b < sizes.batch; ++b) {
    const Graph<const T> graph = graph_of(transitions, b, sizes.length, 0, graph_lengths[b]);
    const T* score = scores + b * sizes.length;
    std::vector<double> likely(graph.vertices);
    likelihoods(score, graph.vertices, likely);
    Distributions<T> distributions(graph, likely.data(), temperature, top_p);
    for (int64_t k = 0; k < sizes.samples; ++k) {
      int64_t* path = paths + (b * sizes.samples + k) * sizes.length;
      double along = 0, emitted = 0;
      int64_t at = graph.vertices ? 0 : -1, steps = 0;
      while (at >= 0) {
        path[steps++] = at;
        emitted += score[at];
        if (at == graph.vertices - 1) break;
        const int64_t next = distributions.draw(at, seeds[b], k);
        if (next >= 0) along += graph.row(at)[next];
        at = next;
      }
      std::fill(path + steps, path + sizes.length, -1);
      of_transitions[b * sizes.samples + k] = at < 0 ? -infinity<T> : static_cast<T>(along);
      of_scores[b * sizes.samples + k] = static_cast<T>(emitted);
    }
  }
}

}  // namespace
}  // namespace natlab

// transitions [batch, length, length], scores [batch, length], both of `type` (float32 or float64), and seeds [batch]
// -> paths [batch, samples, length] and, of `type`, the sums of transitions and of scores [batch, samples]. (CUDA needs
// room.)
NATLAB_API int natlab_dag_sample(const void* transitions, const void* scores, const int64_t* graph_lengths,
                                 const int64_t* seeds, void* /*likely*/, void* /*following*/, int64_t* paths,
                                 void* of_transitions, void* of_scores, int64_t type, int64_t batch, int64_t length,
                                 int64_t samples, double temperature, double top_p, int threads) {
  if (length > natlab::MOST_VERTICES) return natlab::UNSUPPORTED_SIZE;
  return natlab::by_accumulator(type, [&](auto element) {
    using T = decltype(element);
    natlab::sample(static_cast<const T*>(transitions), static_cast<const T*>(scores), graph_lengths, seeds, paths,
                   static_cast<T*>(of_transitions), static_cast<T*>(of_scores), {batch, length, samples}, temperature,
                   top_p, threads);
    return 0;
  });
}
