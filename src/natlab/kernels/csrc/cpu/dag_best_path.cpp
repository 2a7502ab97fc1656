// The best paths of targets; see natlab/kernels/dag_best_path.py.
//
// Only scores are kept: the walk back finds the predecessors of the vertices on the path again, which is cheaper than
// noting those of all.
#include "dag.h"
#include "dag_path.h"
#include "natlab.h"

namespace natlab {
namespace {

struct Sizes {
  int64_t batch, targets, length, band;
};

template <typename T>
void best_paths(const T* match, const T* transitions, const int64_t* graph_lengths, const int64_t* target_lengths,
                T* log_probs, int64_t* paths, Sizes sizes, int threads) {
  const int64_t width = rounded(sizes.length, COLUMNS);
#pragma omp parallel num_threads(threads)
  {
    Buffer<T> room(Packed<T>::size_of(sizes.length, sizes.band)), rows(sizes.targets * width);
#pragma omp for schedule(dynamic)
    for (int64_t b = 0; b < sizes.batch; ++b) {
      const auto graph = graph_of(transitions, b, sizes.length, sizes.band, graph_lengths[b]);
      const int64_t vertices = graph.vertices, targets = target_lengths[b];
      const T* emission = match + b * sizes.targets * sizes.length;
      int64_t* path = paths + b * sizes.targets;
      std::fill(path, path + sizes.targets, -1);
      log_probs[b] = -infinity<T>;
      const auto window = [&](int64_t t) { return window_of(t, targets, vertices, graph.reach); };
      if (targets < 1 || targets > std::min(vertices, sizes.targets) || window(0).first > window(0).last) continue;

      Packed<T> packed{room.get(), 0, 0, Packed<T>::width_of(sizes.length, sizes.band)};
      pack(graph, packed, -infinity<T>, [](T transition) { return transition; });
      T* row = rows.get();
      std::fill(row, row + width, -infinity<T>);
      row[0] = emission[0];
      for (int64_t t = 1; t < targets; ++t, row += width) {
        best_step(packed, row, window(t - 1), emission + t * sizes.length, window(t), row + width, width);
      }
      log_probs[b] = row[vertices - 1];
      if (log_probs[b] == -infinity<T>) continue;
      path[targets - 1] = vertices - 1;
      for (int64_t t = targets - 1; t > 0; --t) {
        row -= width;
        path[t - 1] = predecessor(packed, row, window(t - 1), path[t]);
      }
    }
  }
}

}  // namespace
}  // namespace natlab

// match [batch, targets, length] and transitions [batch, length, length or band] -> log_probs [batch], all of `type`
// (float32 or float64), and paths [batch, targets]. (CUDA needs room for scores and predecessors.)
NATLAB_API int natlab_dag_best_path(const void* match, const void* transitions, const int64_t* graph_lengths,
                                    const int64_t* target_lengths, void* /*scores*/, void* /*predecessors*/,
                                    void* log_probs, int64_t* paths, int64_t type, int64_t batch, int64_t targets,
                                    int64_t length, int64_t band, int threads) {
  return natlab::by_accumulator(type, [&](auto element) {
    using T = decltype(element);
    natlab::best_paths(static_cast<const T*>(match), static_cast<const T*>(transitions), graph_lengths, target_lengths,
                       static_cast<T*>(log_probs), paths, {batch, targets, length, band}, threads);
    return 0;
  });
}
