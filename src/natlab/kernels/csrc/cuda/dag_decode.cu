// Decoding of graphs; see natlab/kernels/dag_decode.py.
#include "dag_path.h"
#include "natlab.h"

namespace natlab {
namespace {

// All vertices' best successors at once, a warp each; then one thread follows them.
template <typename T>
__global__ void __launch_bounds__(THREADS) follow(const T* transitions, const T* scores, const int64_t* graph_lengths,
                                                  T* log_probs, int64_t* paths, int length, int band) {
  extern __shared__ int successors[];
  const int64_t b = blockIdx.x;
  const Graph<T> graph = graph_of(transitions, b, length, band, graph_lengths[b]);
  const T* score = scores + b * length;
  const auto value = [&](int i, int j) { return graph.at(i, j) + score[j]; };
  for (int i = threadIdx.x / TILE; i < graph.vertices; i += THREADS / TILE) {
    T best = -infinity<T>;
    int next = -1;
    const int last = min(i + graph.reach, graph.vertices - 1);
    for (int j = i + 1 + threadIdx.x % TILE; j <= last; j += TILE) {
      if (value(i, j) > best) best = value(i, j), next = j;
    }
    for (int offset = TILE / 2; offset; offset /= 2) {
      const T other = __shfl_xor_sync(ALL_LANES, best, offset);
      const int others = __shfl_xor_sync(ALL_LANES, next, offset);
      // of equals the first; -1 is none, and all that is -inf is none
      if (other > best || (other == best && others < next)) best = other, next = others;
    }
    if (threadIdx.x % TILE == 0) successors[i] = next;
  }
  int64_t* path = paths + b * length;
  for (int step = threadIdx.x; step < length; step += THREADS) path[step] = -1;
  __syncthreads();
  if (threadIdx.x) return;
  log_probs[b] = -infinity<T>;
  if (graph.vertices <= 0) return;
  T total = score[0];
  int at = 0, step = 0;
  path[step++] = at;
  while (successors[at] >= 0) {
    total += value(at, successors[at]);
    at = successors[at];
    path[step++] = at;
  }
  if (at == graph.vertices - 1) log_probs[b] = total;
}

template <typename T, int R>
__global__ void __launch_bounds__(THREADS)
    viterbi(const T* transitions, const T* scores, const int64_t* graph_lengths, T* room, int* predecessors,
            T* log_probs, int64_t* paths, int length, int band, int max_length, int frame, double penalty) {
  __shared__ Shared<T, R> shared;
  const int64_t b = blockIdx.x, start = b * max_length * length;
  const Graph<T> graph = graph_of(transitions, b, length, band, graph_lengths[b]);
  const int tokens = min(max_length, graph.vertices);
  BestPaths<T> problem{graph,  scores + b * length, room + start, predecessors + start, graph.vertices,
                       tokens, graph.reach,         length,       max_length,           0};
  recurrence<R>(problem, shared);
  int64_t* path = paths + b * max_length;
  for (int s = threadIdx.x; s < max_length; s += THREADS) path[s] = -1;
  __syncthreads();
  if (threadIdx.x >= TILE) return;
  double best = -infinity<double>;
  int longest = tokens;
  for (int s = threadIdx.x; s < tokens; s += TILE) {
    const double rank = problem.state(s, graph.vertices - 1) / pow(static_cast<double>(max(1, s + 1 - frame)), penalty);
    if (rank > best) best = rank, longest = s;
  }
  for (int offset = TILE / 2; offset; offset /= 2) {
    const double other = __shfl_xor_sync(ALL_LANES, best, offset);
    const int others = __shfl_xor_sync(ALL_LANES, longest, offset);
    if (other > best || (other == best && others < longest)) best = other, longest = others;
  }
  if (threadIdx.x) return;
  const bool possible = best > -infinity<double>;
  log_probs[b] = possible ? problem.state(longest, graph.vertices - 1) : -infinity<T>;
  if (possible) problem.walk_back(longest, path);
}

constexpr int64_t LONGEST = 12000;  // vertices whose successors fit into shared memory

}  // namespace
}  // namespace natlab

// As on the CPU.
NATLAB_API int natlab_dag_follow(const void* transitions, const void* scores, const int64_t* graph_lengths,
                                 void* log_probs, int64_t* paths, int64_t type, int64_t batch, int64_t length,
                                 int64_t band, void* stream) {
  using namespace natlab;
  if (length > LONGEST) return UNSUPPORTED_SIZE;
  if (batch == 0) return 0;
  return by_accumulator(type, [&](auto element) {
    using T = decltype(element);
    follow<T><<<batch, THREADS, length * sizeof(int), static_cast<cudaStream_t>(stream)>>>(
        static_cast<const T*>(transitions), static_cast<const T*>(scores), graph_lengths, static_cast<T*>(log_probs),
        paths, static_cast<int>(length), static_cast<int>(band));
    return static_cast<int>(cudaGetLastError());
  });
}

// As on the CPU, with room for the scores [batch, length, max_length] of the best paths to each vertex and for the
// vertices before (as many, int32).
NATLAB_API int natlab_dag_viterbi(const void* transitions, const void* scores, const int64_t* graph_lengths, void* room,
                                  int* predecessors, void* log_probs, int64_t* paths, int64_t type, int64_t batch,
                                  int64_t length, int64_t band, int64_t max_length, int64_t frame, double penalty,
                                  void* stream) {
  using namespace natlab;
  if (batch == 0) return 0;
  return by_accumulator(type, [&](auto element) {
    using T = decltype(element);
    return by_span(max_length, [&](auto span) {
      constexpr int R = decltype(span)::value;
      viterbi<T, R><<<batch, THREADS, 0, static_cast<cudaStream_t>(stream)>>>(
          static_cast<const T*>(transitions), static_cast<const T*>(scores), graph_lengths, static_cast<T*>(room),
          predecessors, static_cast<T*>(log_probs), paths, static_cast<int>(length), static_cast<int>(band),
          static_cast<int>(max_length), static_cast<int>(frame), penalty);
      return static_cast<int>(cudaGetLastError());
    });
  });
}
