// DA-Transformer's transition scores; see natlab/kernels/dag_links.py.
//
// All kernels work on square tiles of scores s_ijh of one head, made from queries and keys in shared memory and held in
// registers: 16 x 16 threads with SPAN x SPAN elements each. Scores are computed again wherever they are needed:
//
//   normalise   a tile of rows i of one head, over all vertices j    n_ih
//   mix         a tile of links, over all heads                      e_ij
//   to_rows     a tile of rows i of one head, over all j, twice      d g_ih, then d q_ih
//   to_columns  a tile of columns j of one head, over all i          d k_jh
#include "natlab.h"

namespace natlab {
namespace {

constexpr int SIDE = 16, THREADS = SIDE * SIDE;
constexpr unsigned ALL_LANES = 0xffffffffu;
constexpr int DEPTH = 16;  // how much of an inner dimension is in shared memory at a time

// Elements of a tile that a thread holds in each direction.
template <typename T>
constexpr int SPAN = sizeof(T) == 8 ? 2 : 4;
template <typename T>
constexpr int TILE = SIDE * SPAN<T>;
// A row of a tile in shared memory: padded against bank conflicts, a multiple of 16 bytes.
template <typename T>
constexpr int STRIDE = TILE<T> + 16 / sizeof(T);

struct Graph {
  int64_t length, heads, dimension;
  int64_t band;  // transitions reach at most this many vertices on
  bool dense;

  __device__ int64_t width() const { return dense ? length : band; }
  // a query or key of vertex 0, and the step from vertex to vertex
  __device__ int64_t vector(int64_t b, int64_t h) const { return (b * length * heads + h) * dimension; }
  __device__ int64_t step() const { return heads * dimension; }
  __device__ int64_t gate(int64_t b, int64_t i, int64_t h) const { return (b * length + i) * heads + h; }
  __device__ int64_t link(int64_t b, int64_t i, int64_t j) const {
    return (b * length + i) * width() + (dense ? j : j - i - 1);
  }
  __device__ bool stored(int64_t i, int64_t j) const {
    return i < length && (dense ? j < length : j > i && j <= i + band);
  }
  __device__ bool is_link(int64_t i, int64_t j, int64_t vertices) const {
    return j > i && j < vertices && j - i <= band;
  }
};

// A square of sums, SPAN x SPAN a thread, of rows threadIdx.x / SIDE * SPAN + r and columns
// threadIdx.x % SIDE * SPAN + c.
template <typename T>
struct Tile {
  T value[SPAN<T>][SPAN<T>];

  __device__ static int row(int r) { return threadIdx.x / SIDE * SPAN<T> + r; }
  __device__ static int column(int c) { return threadIdx.x % SIDE * SPAN<T> + c; }

  __device__ void clear() {
#pragma unroll
    for (int r = 0; r < SPAN<T>; ++r) {
#pragma unroll
      for (int c = 0; c < SPAN<T>; ++c) value[r][c] = 0;
    }
  }

  // value[r][c] += sum_d left[d][row] right[d][column], both factors [DEPTH][STRIDE] in shared memory
  __device__ void add_product(const T (*left)[STRIDE<T>], const T (*right)[STRIDE<T>]) {
#pragma unroll 8
    for (int d = 0; d < DEPTH; ++d) {
      T x[SPAN<T>], y[SPAN<T>];
#pragma unroll
      for (int r = 0; r < SPAN<T>; ++r) x[r] = left[d][row(r)];
#pragma unroll
      for (int c = 0; c < SPAN<T>; ++c) y[c] = right[d][column(c)];
#pragma unroll
      for (int r = 0; r < SPAN<T>; ++r) {
#pragma unroll
        for (int c = 0; c < SPAN<T>; ++c) value[r][c] += x[r] * y[c];
      }
    }
  }
};

// The sum over the threads that share rows of a tile: SIDE neighbouring lanes.
template <typename T>
__device__ T row_sum(T value) {
  for (int step = SIDE / 2; step > 0; step /= 2) value += __shfl_xor_sync(ALL_LANES, value, step);
  return value;
}

// greatest + log sum is the logarithm of a sum of exponentials.
template <typename T>
struct LogSum {
  T greatest = -infinity<T>, sum = 0;

  __device__ void add(T term) {
    if (term > greatest) {
      sum = sum * exp(greatest - term) + 1;
      greatest = term;
    } else if (term != -infinity<T>) {  // also nan, which stays
      sum += exp(term - greatest);
    }
  }

  __device__ void merge(const LogSum& other) {
    const T whole = fmax(greatest, other.greatest), from = whole == -infinity<T> ? T(0) : whole;
    sum = sum * exp(greatest - from) + other.sum * exp(other.greatest - from);
    greatest = whole;
  }

  __device__ void merge_row() {
    for (int step = SIDE / 2; step > 0; step /= 2) {
      LogSum other;
      other.greatest = __shfl_xor_sync(ALL_LANES, greatest, step);
      other.sum = __shfl_xor_sync(ALL_LANES, sum, step);
      merge(other);
    }
  }

  __device__ T value() const { return sum == 0 ? -infinity<T> : greatest + log(sum); }
};

template <typename T>
struct Shared {
  alignas(16) T left[DEPTH][STRIDE<T>];
  alignas(16) T right[DEPTH][STRIDE<T>];
};

// to[d][v] = vectors[first + v][first_d + d], vectors `step` apart; 0 beyond the vertices and the dimension.
template <typename T>
__device__ void load_transposed(T (*to)[STRIDE<T>], const T* vectors, int64_t step, int64_t first, int64_t vertices,
                                int64_t first_d, int64_t dimension) {
  for (int n = threadIdx.x; n < TILE<T> * DEPTH; n += THREADS) {
    const int v = n / DEPTH, d = n % DEPTH;
    const bool inside = first + v < vertices && first_d + d < dimension;
    to[d][v] = inside ? vectors[(first + v) * step + first_d + d] : T(0);
  }
}

// to[v][d] = vectors[first + v][first_d + d], for DEPTH vectors and TILE dimensions.
template <typename T>
__device__ void load_rows(T (*to)[STRIDE<T>], const T* vectors, int64_t step, int64_t first, int64_t vertices,
                          int64_t first_d, int64_t dimension) {
  for (int n = threadIdx.x; n < TILE<T> * DEPTH; n += THREADS) {
    const int v = n / TILE<T>, d = n % TILE<T>;
    const bool inside = first + v < vertices && first_d + d < dimension;
    to[v][d] = inside ? vectors[(first + v) * step + first_d + d] : T(0);
  }
}

// The scores of vertices first_i .. and first_j ..; query and key are those of vertex 0. All threads of the block call
// it, and may have used `shared` before.
template <typename T>
__device__ Tile<T> scores(Shared<T>& shared, const T* query, const T* key, const Graph& graph, int64_t first_i,
                          int64_t first_j, int64_t vertices) {
  Tile<T> tile;
  tile.clear();
  for (int64_t d = 0; d < graph.dimension; d += DEPTH) {
    __syncthreads();
    load_transposed(shared.left, query, graph.step(), first_i, vertices, d, graph.dimension);
    load_transposed(shared.right, key, graph.step(), first_j, vertices, d, graph.dimension);
    __syncthreads();
    tile.add_product(shared.left, shared.right);
  }
  const T scale = 1 / sqrt(static_cast<T>(graph.dimension));
#pragma unroll
  for (int r = 0; r < SPAN<T>; ++r) {
#pragma unroll
    for (int c = 0; c < SPAN<T>; ++c) tile.value[r][c] *= scale;
  }
  return tile;
}

// Past the last vertex that a tile of rows reaches.
template <typename T>
__device__ int64_t end_of_rows(const Graph& graph, int64_t first_i, int64_t vertices) {
  const int64_t end = first_i + TILE<T> + graph.band;
  return end < vertices ? end : vertices;
}

template <typename T>
__global__ void __launch_bounds__(THREADS)
    normalise(const T* query, const T* key, const int64_t* lengths, T* normalisers, Graph graph) {
  __shared__ Shared<T> shared;
  const int64_t first_i = static_cast<int64_t>(blockIdx.x) * TILE<T>, h = blockIdx.y, b = blockIdx.z;
  const int64_t vertices = min(lengths[b], graph.length);
  query += graph.vector(b, h);
  key += graph.vector(b, h);
  LogSum<T> total[SPAN<T>];
  for (int64_t first_j = first_i; first_j < end_of_rows<T>(graph, first_i, vertices); first_j += TILE<T>) {
    const Tile<T> score = scores(shared, query, key, graph, first_i, first_j, vertices);
#pragma unroll
    for (int r = 0; r < SPAN<T>; ++r) {
#pragma unroll
      for (int c = 0; c < SPAN<T>; ++c) {
        if (graph.is_link(first_i + score.row(r), first_j + score.column(c), vertices)) total[r].add(score.value[r][c]);
      }
    }
  }
#pragma unroll
  for (int r = 0; r < SPAN<T>; ++r) {
    total[r].merge_row();
    const int64_t i = first_i + Tile<T>::row(r);
    if (threadIdx.x % SIDE == 0 && i < graph.length) normalisers[graph.gate(b, i, h)] = total[r].value();
  }
}

template <typename T>
__global__ void __launch_bounds__(THREADS)
    mix(const T* query, const T* key, const T* gates, const int64_t* lengths, const T* normalisers, T* links,
        Graph graph) {
  __shared__ Shared<T> shared;
  const int64_t first_i = static_cast<int64_t>(blockIdx.y) * TILE<T>, b = blockIdx.z;
  const int64_t first_j = static_cast<int64_t>(blockIdx.x) * TILE<T> + (graph.dense ? 0 : first_i);
  const int64_t vertices = min(lengths[b], graph.length);
  const int64_t last_i = first_i + TILE<T> - 1, last_j = first_j + TILE<T> - 1;
  const bool has_links = first_j < vertices && last_j > first_i && first_j - last_i <= graph.band;
  LogSum<T> total[SPAN<T>][SPAN<T>];
#pragma unroll
  for (int r = 0; r < SPAN<T>; ++r) {
#pragma unroll
    // said again, as nvcc 13.0 constructs the first row of such an array only, and leaves zeros in the others
    for (int c = 0; c < SPAN<T>; ++c) total[r][c] = {};
  }
  for (int64_t h = 0; has_links && h < graph.heads; ++h) {
    const int64_t at = graph.vector(b, h);
    const Tile<T> score = scores(shared, query + at, key + at, graph, first_i, first_j, vertices);
#pragma unroll
    for (int r = 0; r < SPAN<T>; ++r) {
      const int64_t i = first_i + score.row(r);
      if (i >= vertices) continue;
      const T gate = gates[graph.gate(b, i, h)] - normalisers[graph.gate(b, i, h)];
#pragma unroll
      for (int c = 0; c < SPAN<T>; ++c) {
        if (graph.is_link(i, first_j + score.column(c), vertices)) total[r][c].add(gate + score.value[r][c]);
      }
    }
  }
#pragma unroll
  for (int r = 0; r < SPAN<T>; ++r) {
#pragma unroll
    for (int c = 0; c < SPAN<T>; ++c) {
      const int64_t i = first_i + Tile<T>::row(r), j = first_j + Tile<T>::column(c);
      if (graph.stored(i, j)) links[graph.link(b, i, j)] = total[r][c].value();
    }
  }
}

// What the gradients of one head of a sentence are made of.
template <typename T>
struct Above {
  const T *gates, *normalisers, *links, *grad_links;
  Graph graph;
  int64_t b, h, vertices;

  // The score becomes G w, and `probability` what the gate's gradient is to be multiplied with.
  __device__ void weigh(T& score, T& probability, int64_t i, int64_t j) const {
    const T value = score;
    score = probability = 0;
    if (!graph.is_link(i, j, vertices)) return;
    const T link = links[graph.link(b, i, j)];
    const T log_probability = value - normalisers[graph.gate(b, i, h)];
    probability = exp(log_probability);
    // an impossible link has no gradient, whatever comes from above
    if (link == -infinity<T>) return;
    score = grad_links[graph.link(b, i, j)] * exp(gates[graph.gate(b, i, h)] + log_probability - link);
  }
};

// to[first + row][first_d + column] = tile * scale, within `length` and `dimension`.
template <typename T>
__device__ void write(const Tile<T>& tile, T* to, int64_t step, int64_t first, int64_t length, int64_t first_d,
                      int64_t dimension) {
  const T scale = 1 / sqrt(static_cast<T>(dimension));
#pragma unroll
  for (int r = 0; r < SPAN<T>; ++r) {
#pragma unroll
    for (int c = 0; c < SPAN<T>; ++c) {
      const int64_t v = first + tile.row(r), d = first_d + tile.column(c);
      if (v < length && d < dimension) to[v * step + d] = tile.value[r][c] * scale;
    }
  }
}

// Blocks (tile of rows, head and part of its dimension, sentence). The first part of each head writes grad_gates.
template <typename T>
__global__ void __launch_bounds__(THREADS)
    to_rows(const T* query, const T* key, Above<T> above, const int64_t* lengths, T* grad_query, T* grad_gates) {
  __shared__ Shared<T> shared;
  __shared__ alignas(16) T grad_scores[TILE<T>][STRIDE<T>];  // [j][i]
  const Graph& graph = above.graph;
  const int64_t first_i = static_cast<int64_t>(blockIdx.x) * TILE<T>, b = blockIdx.z, h = blockIdx.y % graph.heads;
  const int64_t first_d = blockIdx.y / graph.heads * TILE<T>;
  above.b = b, above.h = h, above.vertices = min(lengths[b], graph.length);
  query += graph.vector(b, h);
  key += graph.vector(b, h);
  const int64_t end = end_of_rows<T>(graph, first_i, above.vertices);

  T grad_gate[SPAN<T>] = {};
  for (int64_t first_j = first_i; first_j < end; first_j += TILE<T>) {
    Tile<T> score = scores(shared, query, key, graph, first_i, first_j, above.vertices);
#pragma unroll
    for (int r = 0; r < SPAN<T>; ++r) {
#pragma unroll
      for (int c = 0; c < SPAN<T>; ++c) {
        T probability;
        above.weigh(score.value[r][c], probability, first_i + score.row(r), first_j + score.column(c));
        grad_gate[r] += score.value[r][c];
      }
    }
  }
#pragma unroll
  for (int r = 0; r < SPAN<T>; ++r) {
    grad_gate[r] = row_sum(grad_gate[r]);
    const int64_t i = first_i + Tile<T>::row(r);
    if (first_d == 0 && threadIdx.x % SIDE == 0 && i < graph.length) grad_gates[graph.gate(b, i, h)] = grad_gate[r];
  }

  Tile<T> sum;
  sum.clear();
  for (int64_t first_j = first_i; first_j < end; first_j += TILE<T>) {
    Tile<T> score = scores(shared, query, key, graph, first_i, first_j, above.vertices);
#pragma unroll
    for (int r = 0; r < SPAN<T>; ++r) {
#pragma unroll
      for (int c = 0; c < SPAN<T>; ++c) {
        T probability;
        above.weigh(score.value[r][c], probability, first_i + score.row(r), first_j + score.column(c));
        grad_scores[score.column(c)][score.row(r)] = score.value[r][c] - grad_gate[r] * probability;
      }
    }
    for (int part = 0; part < TILE<T>; part += DEPTH) {
      __syncthreads();
      load_rows(shared.right, key, graph.step(), first_j + part, above.vertices, first_d, graph.dimension);
      __syncthreads();
      sum.add_product(grad_scores + part, shared.right);
    }
  }
  write(sum, grad_query + graph.vector(b, h), graph.step(), first_i, graph.length, first_d, graph.dimension);
}

// Blocks (tile of columns, head and part of its dimension, sentence).
template <typename T>
__global__ void __launch_bounds__(THREADS)
    to_columns(const T* query, const T* key, Above<T> above, const int64_t* lengths, const T* grad_gates, T* grad_key) {
  __shared__ Shared<T> shared;
  __shared__ alignas(16) T grad_scores[TILE<T>][STRIDE<T>];  // [i][j]
  const Graph& graph = above.graph;
  const int64_t first_j = static_cast<int64_t>(blockIdx.x) * TILE<T>, b = blockIdx.z, h = blockIdx.y % graph.heads;
  const int64_t first_d = blockIdx.y / graph.heads * TILE<T>;
  above.b = b, above.h = h, above.vertices = min(lengths[b], graph.length);
  query += graph.vector(b, h);
  key += graph.vector(b, h);
  const int64_t begin = first_j > graph.band ? (first_j - graph.band) / TILE<T> * TILE<T> : 0;
  // no tile at all where the columns lie beyond the graph
  const int64_t end = first_j < above.vertices ? first_j + TILE<T> : 0;

  Tile<T> sum;
  sum.clear();
  for (int64_t first_i = begin; first_i < end; first_i += TILE<T>) {
    Tile<T> score = scores(shared, query, key, graph, first_i, first_j, above.vertices);
#pragma unroll
    for (int r = 0; r < SPAN<T>; ++r) {
      const int64_t i = first_i + score.row(r);
      const T grad_gate = i < above.vertices ? grad_gates[graph.gate(b, i, h)] : T(0);
#pragma unroll
      for (int c = 0; c < SPAN<T>; ++c) {
        T probability;
        above.weigh(score.value[r][c], probability, i, first_j + score.column(c));
        grad_scores[score.row(r)][score.column(c)] = score.value[r][c] - grad_gate * probability;
      }
    }
    for (int part = 0; part < TILE<T>; part += DEPTH) {
      __syncthreads();
      load_rows(shared.right, query, graph.step(), first_i + part, above.vertices, first_d, graph.dimension);
      __syncthreads();
      sum.add_product(grad_scores + part, shared.right);
    }
  }
  write(sum, grad_key + graph.vector(b, h), graph.step(), first_j, graph.length, first_d, graph.dimension);
}

template <typename T>
unsigned tiles(int64_t size) {
  return static_cast<unsigned>((size + TILE<T> - 1) / TILE<T>);
}

}  // namespace
}  // namespace natlab

// query, key [batch, length, heads, dimension], gates [batch, length, heads] -> links [batch, length, length], or
// [batch, length, band] where band > 0, and normalisers [batch, length, heads]; all of `type`, float32 or float64.
NATLAB_API int natlab_dag_links(const void* query, const void* key, const void* gates, const int64_t* lengths,
                                void* links, void* normalisers, int64_t type, int64_t batch, int64_t length,
                                int64_t heads, int64_t dimension, int64_t band, void* stream) {
  using namespace natlab;
  if (batch * length == 0) return 0;
  const Graph graph{length, heads, dimension, band ? band : length, band == 0};
  return by_accumulator(type, [&](auto element) {
    using T = decltype(element);
    const auto on = static_cast<cudaStream_t>(stream);
    const auto q = static_cast<const T*>(query), k = static_cast<const T*>(key);
    const unsigned rows = tiles<T>(length), columns = graph.dense ? rows : tiles<T>(TILE<T> + band);
    const auto sentences = static_cast<unsigned>(batch);
    normalise<T><<<dim3(rows, static_cast<unsigned>(heads), sentences), THREADS, 0, on>>>(
        q, k, lengths, static_cast<T*>(normalisers), graph);
    mix<T><<<dim3(columns, rows, sentences), THREADS, 0, on>>>(
        q, k, static_cast<const T*>(gates), lengths, static_cast<const T*>(normalisers), static_cast<T*>(links), graph);
    return static_cast<int>(cudaGetLastError());
  });
}

// grad_links as links -> grad_query, grad_key and grad_gates as query, key and gates.
NATLAB_API int natlab_dag_links_backward(const void* query, const void* key, const void* gates, const int64_t* lengths,
                                         const void* links, const void* normalisers, const void* grad_links,
                                         void* grad_query, void* grad_key, void* grad_gates, int64_t type,
                                         int64_t batch, int64_t length, int64_t heads, int64_t dimension, int64_t band,
                                         void* stream) {
  using namespace natlab;
  if (batch * length == 0) return 0;
  const Graph graph{length, heads, dimension, band ? band : length, band == 0};
  return by_accumulator(type, [&](auto element) {
    using T = decltype(element);
    const auto on = static_cast<cudaStream_t>(stream);
    const auto q = static_cast<const T*>(query), k = static_cast<const T*>(key);
    const Above<T> above{static_cast<const T*>(gates), static_cast<const T*>(normalisers), static_cast<const T*>(links),
                         static_cast<const T*>(grad_links), graph, 0, 0, 0};
    const dim3 blocks(tiles<T>(length), static_cast<unsigned>(heads) * tiles<T>(dimension),
                      static_cast<unsigned>(batch));
    to_rows<T><<<blocks, THREADS, 0, on>>>(q, k, above, lengths, static_cast<T*>(grad_query),
                                           static_cast<T*>(grad_gates));
    to_columns<T><<<blocks, THREADS, 0, on>>>(q, k, above, lengths, static_cast<const T*>(grad_gates),
                                              static_cast<T*>(grad_key));
    return static_cast<int>(cudaGetLastError());
  });
}
