// Sampling of graphs; see natlab/kernels/dag_sample.py.
//
// A block a sentence for the vertices' part of exp s; a block a vertex for its distribution and the successors that all
// hypotheses draw there; a thread a hypothesis to follow them.
#include "dag_sample.h"

#include "dag.h"
#include "natlab.h"

namespace natlab {
namespace {

// What `combine` makes of the values of all threads of a block, in all threads.
template <typename Value, typename Combine>
__device__ Value over_block(Value value, Combine combine) {
  __shared__ Value of_warp[THREADS / TILE];
  for (int offset = TILE / 2; offset; offset /= 2) value = combine(value, __shfl_xor_sync(ALL_LANES, value, offset));
  __syncthreads();  // what was there has been read
  if (threadIdx.x % TILE == 0) of_warp[threadIdx.x / TILE] = value;
  __syncthreads();
  value = of_warp[0];
  for (int warp = 1; warp < THREADS / TILE; ++warp) value = combine(value, of_warp[warp]);
  return value;
}

__device__ long long block_sum(long long value) {
  return over_block(value, [](long long one, long long other) { return one + other; });
}

template <typename T>
__global__ void __launch_bounds__(THREADS)
    likelihoods(const T* scores, const int64_t* graph_lengths, double* likely, int length) {
  const int64_t b = blockIdx.x;
  const int vertices = graph_lengths[b] <= length ? static_cast<int>(graph_lengths[b]) : 0;
  const T* score = scores + b * length;
  double best = -infinity<double>;
  for (int j = threadIdx.x; j < vertices; j += THREADS) best = fmax(best, static_cast<double>(score[j]));
  best = over_block(best, [](double one, double other) { return fmax(one, other); });
  if (best == -infinity<double>) best = 0;
  long long total = 0;
  for (int j = threadIdx.x; j < vertices; j += THREADS) {
    const int64_t mass = whole(exp(static_cast<double>(score[j]) - best));
    likely[b * length + j] = static_cast<double>(mass);
    total += mass;
  }
  total = block_sum(total);
  // each thread its own
  for (int j = threadIdx.x; j < vertices; j += THREADS) {
    likely[b * length + j] /= static_cast<double>(total > 1 ? total : 1);
  }
}

template <typename T>
__global__ void __launch_bounds__(THREADS)
    draw(const T* transitions, const double* likely, const int64_t* graph_lengths, const int64_t* seeds, int* following,
         int length, int samples, double temperature, double top_p) {
  extern __shared__ unsigned char memory[];
  const int64_t b = blockIdx.x / length;
  const int i = static_cast<int>(blockIdx.x % length);
  const Graph<T> graph = graph_of(transitions, b, length, 0, graph_lengths[b]);
  if (i >= graph.vertices) return;
  auto* keys = reinterpret_cast<unsigned long long*>(memory);
  const int first = i + 1, size = graph.vertices - first;
  int* to = following + (b * length + i) * samples;

  // a key of 0 is none: a vertex below the last of MOST_VERTICES has another
  long long total = 0, greatest = 0;
  for (int n = threadIdx.x; n < size; n += THREADS) {
    const double transition = static_cast<double>(graph.at(i, first + n));
    unsigned long long key = 0;
    if (transition > -infinity<double>) {
      const int64_t mass = whole(exp(transition < 0 ? transition : 0.0) + likely[b * length + first + n]);
      key = key_of(mass, first + n);
      total += mass;
      greatest = max(greatest, static_cast<long long>(mass));
    }
    keys[n] = key;
  }
  __syncthreads();
  total = block_sum(total);
  greatest = over_block(greatest, [](long long one, long long other) { return one > other ? one : other; });

  // the greatest key such that it and what is greater has the mass that is needed; the search is by its bits
  unsigned long long least = 1;
  if (top_p < 1) {
    const long long mass = needed(total, top_p);
    unsigned long long found = 0;
    for (int bit = 58; bit >= 0; --bit) {
      const unsigned long long trial = found | (1ull << bit);
      long long above = 0;
      for (int n = threadIdx.x; n < size; n += THREADS) above += keys[n] >= trial ? mass_of(keys[n]) : 0;
      if (block_sum(above) >= mass) found = trial;
    }
    if (found) least = found;
  }

  // cumulative weights in place of the keys: a thread has a run of neighbours
  const int run = (size + THREADS - 1) / THREADS;
  const int start = min(size, static_cast<int>(threadIdx.x) * run), stop = min(size, start + run);
  const double scale = UNIT * temperature;
  auto* cumulative = reinterpret_cast<long long*>(memory);
  long long sum = 0;
  for (int n = start; n < stop; ++n) {
    const unsigned long long key = keys[n];
    if (key >= least) sum += whole(exp(static_cast<double>(mass_of(key) - greatest) / scale));
    cumulative[n] = sum;
  }
  __shared__ long long of_thread[THREADS];
  of_thread[threadIdx.x] = sum;
  for (int step = 1; step < THREADS; step *= 2) {
    __syncthreads();
    const long long before = threadIdx.x >= step ? of_thread[threadIdx.x - step] : 0;
    __syncthreads();
    of_thread[threadIdx.x] += before;
  }
  const long long before = of_thread[threadIdx.x] - sum;
  for (int n = start; n < stop; ++n) cumulative[n] += before;
  __syncthreads();
  const long long all = of_thread[THREADS - 1];

  for (int k = threadIdx.x; k < samples; k += THREADS) {
    int next = -1;
    if (all > 0) {
      const int64_t at = drawn(all, seeds[b], k, i);
      int low = 0, high = size - 1;  // the first whose cumulative weight exceeds it
      while (low < high) {
        const int middle = (low + high) / 2;
        if (cumulative[middle] > at) {
          high = middle;
        } else {
          low = middle + 1;
        }
      }
      next = first + low;
    }
    to[k] = next;
  }
}

template <typename T>
__global__ void __launch_bounds__(THREADS)
    follow(const T* transitions, const T* scores, const int64_t* graph_lengths, const int* following, int64_t* paths,
           T* of_transitions, T* of_scores, int64_t hypotheses, int length, int samples) {
  const int64_t h = static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x;
  if (h >= hypotheses) return;
  const int64_t b = h / samples, k = h % samples;
  const Graph<T> graph = graph_of(transitions, b, length, 0, graph_lengths[b]);
  int64_t* path = paths + h * length;
  double along = 0, emitted = 0;
  int at = graph.vertices ? 0 : -1, steps = 0;
  while (at >= 0) {
    path[steps++] = at;
    emitted += static_cast<double>(scores[b * length + at]);
    if (at == graph.vertices - 1) break;
    const int next = following[(b * length + at) * samples + k];
    if (next >= 0) along += static_cast<double>(graph.at(at, next));
    at = next;
  }
  for (; steps < length; ++steps) path[steps] = -1;
  of_transitions[h] = at < 0 ? -infinity<T> : static_cast<T>(along);
  of_scores[h] = static_cast<T>(emitted);
}

constexpr int64_t LONGEST = 5000;  // vertices whose keys fit into shared memory, beside what is there in any case

}  // namespace
}  // namespace natlab

// As on the CPU, with room for each vertex' part of exp s [batch, length], float64, and for the successor of each
// vertex and hypothesis [batch, length, samples], int32.
NATLAB_API int natlab_dag_sample(const void* transitions, const void* scores, const int64_t* graph_lengths,
                                 const int64_t* seeds, void* likely, void* following, int64_t* paths,
                                 void* of_transitions, void* of_scores, int64_t type, int64_t batch, int64_t length,
                                 int64_t samples, double temperature, double top_p, void* stream) {
  using namespace natlab;
  if (length > LONGEST) return UNSUPPORTED_SIZE;
  if (batch == 0) return 0;
  return by_accumulator(type, [&](auto element) {
    using T = decltype(element);
    const auto on = static_cast<cudaStream_t>(stream);
    const int size = static_cast<int>(length), count = static_cast<int>(samples);
    const int64_t hypotheses = batch * samples;
    const auto* links = static_cast<const T*>(transitions);
    const auto* score = static_cast<const T*>(scores);
    auto* part = static_cast<double*>(likely);
    auto* next = static_cast<int*>(following);
    if (length) {
      likelihoods<T><<<batch, THREADS, 0, on>>>(score, graph_lengths, part, size);
      draw<T><<<static_cast<unsigned>(batch * length), THREADS, length * sizeof(int64_t), on>>>(
          links, part, graph_lengths, seeds, next, size, count, temperature, top_p);
    }
    follow<T><<<static_cast<unsigned>((hypotheses + THREADS - 1) / THREADS), THREADS, 0, on>>>(
        links, score, graph_lengths, next, paths, static_cast<T*>(of_transitions), static_cast<T*>(of_scores),
        hypotheses, size, count);
    return static_cast<int>(cudaGetLastError());
  });
}
