// Decoding of graphs; see natlab/kernels/dag_decode.py.
#include <cmath>

#include "dag.h"
#include "dag_path.h"
#include "natlab.h"

namespace natlab {
namespace {

struct Sizes {
  int64_t batch, length, band;
};

template <typename T>
void follow(const T* transitions, const T* scores, const int64_t* graph_lengths, T* log_probs, int64_t* paths,
            Sizes sizes, int threads) {
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (int64_t b = 0; b < sizes.batch; ++b) {
    const auto graph = graph_of(transitions, b, sizes.length, sizes.band, graph_lengths[b]);
    const T* score = scores + b * sizes.length;
    int64_t* path = paths + b * sizes.length;
    std::fill(path, path + sizes.length, -1);
    log_probs[b] = -infinity<T>;
    if (graph.vertices < 1) continue;
    T total = score[0];
    int64_t at = 0, step = 0;
    while (true) {
      path[step++] = at;
      const T* row = graph.row(at);
      int64_t best = -1;
      T most = -infinity<T>;
      for (int64_t j = at + 1; j <= graph.last(at); ++j) {
        const T value = row[j] + score[j];
        if (value > most) most = value, best = j;
      }
      if (best < 0) break;
      total += most;
      at = best;
    }
    if (at == graph.vertices - 1) log_probs[b] = total;
  }
}

template <typename T>
void viterbi(const T* transitions, const T* scores, const int64_t* graph_lengths, T* log_probs, int64_t* paths,
             Sizes sizes, int64_t max_length, int64_t frame, double penalty, int threads) {
  const int64_t width = rounded(sizes.length, COLUMNS);
#pragma omp parallel num_threads(threads)
  {
    Buffer<T> room(Packed<T>::size_of(sizes.length, sizes.band)), rows(max_length * width);
#pragma omp for schedule(dynamic)
    for (int64_t b = 0; b < sizes.batch; ++b) {
      const auto graph = graph_of(transitions, b, sizes.length, sizes.band, graph_lengths[b]);
      const int64_t vertices = graph.vertices, most = std::min(max_length, vertices);
      const T* score = scores + b * sizes.length;
      int64_t* path = paths + b * max_length;
      std::fill(path, path + max_length, -1);
      log_probs[b] = -infinity<T>;
      if (vertices < 1) continue;
      const auto window = [&](int64_t t) { return Window{t, std::min(t * graph.reach, vertices - 1)}; };

      Packed<T> packed{room.get(), 0, 0, Packed<T>::width_of(sizes.length, sizes.band)};
      pack(graph, packed, -infinity<T>, [](T transition) { return transition; });
      T* row = rows.get();
      std::fill(row, row + width, -infinity<T>);
      row[0] = score[0];
      double best = -infinity<double>;
      int64_t longest = -1;
      for (int64_t t = 0; t < most; ++t, row += width) {
        if (t) best_step(packed, row - width, window(t - 1), score, window(t), row, width);
        const double rank = row[vertices - 1] / std::pow(static_cast<double>(std::max<int64_t>(1, t + 1 - frame)), penalty);
        if (rank > best) best = rank, longest = t;
      }
      if (longest < 0) continue;
      row = rows.get() + longest * width;
      log_probs[b] = row[vertices - 1];
      path[longest] = vertices - 1;
      for (int64_t t = longest; t > 0; --t) {
        row -= width;
        path[t - 1] = predecessor(packed, row, window(t - 1), path[t]);
      }
    }
  }
}

}  // namespace
}  // namespace natlab

// transitions [batch, length, length or band] and scores [batch, length] -> log_probs [batch], all of `type` (float32
// or float64), and paths [batch, length].
NATLAB_API int natlab_dag_follow(const void* transitions, const void* scores, const int64_t* graph_lengths,
                                 void* log_probs, int64_t* paths, int64_t type, int64_t batch, int64_t length,
                                 int64_t band, int threads) {
  return natlab::by_accumulator(type, [&](auto element) {
    using T = decltype(element);
    natlab::follow(static_cast<const T*>(transitions), static_cast<const T*>(scores), graph_lengths,
                   static_cast<T*>(log_probs), paths, {batch, length, band}, threads);
    return 0;
  });
}

// The same; paths [batch, max_length]. (CUDA needs room for scores and predecessors.)
NATLAB_API int natlab_dag_viterbi(const void* transitions, const void* scores, const int64_t* graph_lengths,
                                  void* /*room*/, void* /*predecessors*/, void* log_probs, int64_t* paths, int64_t type,
                                  int64_t batch, int64_t length, int64_t band, int64_t max_length, int64_t frame,
                                  double penalty, int threads) {
  return natlab::by_accumulator(type, [&](auto element) {
    using T = decltype(element);
    natlab::viterbi(static_cast<const T*>(transitions), static_cast<const T*>(scores), graph_lengths,
                    static_cast<T*>(log_probs), paths, {batch, length, band}, max_length, frame, penalty, threads);
    return 0;
  });
}
