// The best paths of targets; see natlab/kernels/dag_best_path.py.
#include "dag_path.h"
#include "natlab.h"

namespace natlab {
namespace {

template <typename T, int R>
__global__ void __launch_bounds__(THREADS)
    best_paths(const T* match, const T* transitions, const int64_t* graph_lengths, const int64_t* target_lengths,
               T* scores, int* predecessors, T* log_probs, int64_t* paths, int targets, int length, int band) {
  __shared__ Shared<T, R> shared;
  const int64_t b = blockIdx.x, room = b * targets * length;
  const Graph<T> graph = graph_of(transitions, b, length, band, graph_lengths[b]);
  const bool possible = target_lengths[b] >= 1 && target_lengths[b] <= min(targets, graph.vertices);
  const int tokens = possible ? static_cast<int>(target_lengths[b]) : 0;
  BestPaths<T> problem{graph,  match + room, scores + room, predecessors + room, graph.vertices, tokens, graph.reach,
                       length, targets,      length};
  recurrence<R>(problem, shared);
  for (int t = threadIdx.x; t < targets; t += THREADS) paths[b * targets + t] = -1;
  __syncthreads();
  if (threadIdx.x == 0) {
    log_probs[b] = possible ? problem.state(tokens - 1, graph.vertices - 1) : -infinity<T>;
    if (log_probs[b] > -infinity<T>) problem.walk_back(tokens - 1, paths + b * targets);
  }
}

}  // namespace
}  // namespace natlab

// As on the CPU, with room for the scores [batch, length, targets] of the best paths to each vertex and for the
// vertices before (as many, int32).
NATLAB_API int natlab_dag_best_path(const void* match, const void* transitions, const int64_t* graph_lengths,
                                    const int64_t* target_lengths, void* scores, int* predecessors, void* log_probs,
                                    int64_t* paths, int64_t type, int64_t batch, int64_t targets, int64_t length,
                                    int64_t band, void* stream) {
  using namespace natlab;
  if (batch == 0) return 0;
  return by_accumulator(type, [&](auto element) {
    using T = decltype(element);
    return by_span(targets, [&](auto span) {
      constexpr int R = decltype(span)::value;
      best_paths<T, R><<<batch, THREADS, 0, static_cast<cudaStream_t>(stream)>>>(
          static_cast<const T*>(match), static_cast<const T*>(transitions), graph_lengths, target_lengths,
          static_cast<T*>(scores), predecessors, static_cast<T*>(log_probs), paths, static_cast<int>(targets),
          static_cast<int>(length), static_cast<int>(band));
      return static_cast<int>(cudaGetLastError());
    });
  });
}
