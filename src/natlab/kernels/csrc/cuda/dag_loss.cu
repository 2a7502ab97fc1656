// The probability of targets under graphs; see natlab/kernels/dag_loss.py and, for what is exact in probabilities and
// what needs logarithms, csrc/cpu/dag_loss.cpp, whose choices these are.
//
//   forward_sentences    a sentence a block: a, and log P
//   backward_sentences   a sentence a block: b, and the gradient of match
//   backward_links       a tile of transitions a block: their gradient
#include "dag.h"
#include "natlab.h"

namespace natlab {
namespace {

constexpr double LEAST = -650;   // of log(P / (g[0] ... g[M - 1]))
constexpr double MOST = 300;     // of log S^(M - 1)
constexpr int64_t COLUMNS = 32;  // as PADDING of natlab/kernels/dag_loss.py

// e^x in float64, for x of the type that is computed in: exact to a float's bits, over the range of a double.
__device__ inline double probability(double x) { return exp(x); }
__device__ inline double probability(float x) {
  const float exponent = rintf(fminf(fmaxf(x, -708.0f), 708.0f) * 1.44269504f);
  const float rest = fmaf(exponent, -0x1.7f7d1cp-20f, fmaf(exponent, -0x1.62e4p-1f, x));
  const double scale = __hiloint2double((static_cast<int>(exponent) + 1023) << 20, 0);
  const double value = static_cast<double>(__expf(rest)) * scale;
  return x < -708.0f ? 0 : (x > 708.0f ? infinity<double> : value);
}

struct Sizes {
  int64_t batch;
  int targets, length, band;

  __device__ int64_t state(int64_t b) const { return b * targets * ((length + COLUMNS - 1) / COLUMNS * COLUMNS); }
};

template <typename T>
struct Arguments {
  const T *match, *transitions;
  const int64_t *graph_lengths, *target_lengths;
  double *alpha, *greatest;
  Sizes sizes;
};

// One sentence. Its a (and b) lie vertex by vertex: those of token t and vertex j at j * targets + t, where `targets`
// is the batch's.
template <typename T>
struct Sentence {
  Graph<T> graph;
  const T* match;
  double *alpha, *greatest;
  Sizes sizes;
  int tokens;

  __device__ Sentence(const Arguments<T>& given, int64_t b)
      : graph(graph_of(given.transitions, b, given.sizes.length, given.sizes.band, given.graph_lengths[b])),
        match(given.match + b * given.sizes.targets * given.sizes.length),
        alpha(given.alpha + given.sizes.state(b)),
        greatest(given.greatest + b * given.sizes.targets),
        sizes(given.sizes) {
    const int64_t length = given.target_lengths[b];
    tokens = length >= 1 && length <= min(sizes.targets, graph.vertices) ? static_cast<int>(length) : 0;
  }

  // Where token t can be: there must be a vertex left for each later token, and no more than they can cross.
  __device__ int first(int t) const { return max(t, graph.vertices - 1 - (tokens - 1 - t) * graph.reach); }
  __device__ int last(int t) const { return min(t * graph.reach, graph.vertices - tokens + t); }
  __device__ bool inside(int t, int j) const { return 0 <= t && t < tokens && first(t) <= j && j <= last(t); }

  __device__ int64_t at(int t, int j) const { return static_cast<int64_t>(j) * sizes.targets + t; }
  __device__ double end() const { return alpha[at(tokens - 1, graph.vertices - 1)]; }
  __device__ T emission(int t, int j) const { return match[static_cast<int64_t>(t) * sizes.length + j]; }
};

// The recurrence in probabilities: forwards, or backwards as the recurrence over the graph turned round, whose vertex w
// is the graph's n - 1 - w and whose token s is M - 1 - s.
template <typename T, bool BACKWARD>
struct Probabilities {
  using Element = T;
  using Value = double;
  struct Sum {
    double total = 0;
    __device__ void add(double x, double transition, int) { total = fma(x, transition, total); }
  };
  static constexpr bool REVERSED = BACKWARD;

  Sentence<T> sentence;
  double* states;   // a, or b
  float* outgoing;  // forwards, the sum of each vertex' transitions, in shared memory
  T* grad_match;    // backwards
  double scale;     // of it
  int vertices, tokens, reach;

  __device__ int vertex(int w) const { return BACKWARD ? vertices - 1 - w : w; }
  __device__ int token(int s) const { return BACKWARD ? tokens - 1 - s : s; }

  __device__ T transition(int v, int w) const {
    return BACKWARD ? sentence.graph.at(vertex(w), vertex(v)) : sentence.graph.at(v, w);
  }
  __device__ double transition_value(int v, T logarithm) const {
    const double value = probability(logarithm);
    if (!BACKWARD) {
      // infinite if a possible transition is lost
      float sum = value > 0 || logarithm == -infinity<T> ? static_cast<float>(value) : infinity<float>;
      for (int offset = 16; offset; offset /= 2) sum += __shfl_xor_sync(ALL_LANES, sum, offset);
      if (threadIdx.x % TILE == 0 && v < vertices) outgoing[v] += sum;
    }
    return value;
  }
  __device__ T emission(int s, int w) const {
    const int t = token(s), j = vertex(w);
    return sentence.inside(t, j) ? sentence.match[static_cast<int64_t>(t) * sentence.sizes.length + j] : -infinity<T>;
  }
  __device__ double emission_value(int s, int, T stored) const {
    const int t = token(s);
    if (t < 0 || t >= tokens) return 0;
    return probability(stored - static_cast<T>(sentence.greatest[t]));
  }
  __device__ double state(int s, int v) const {
    return s >= 0 && s < tokens && v < vertices ? states[sentence.at(token(s), vertex(v))] : 0;
  }
  __device__ void keep(int s, int w, double x) { states[sentence.at(token(s), vertex(w))] = x; }
  __device__ static double product(int s, int w, const Sum& sum) { return s ? sum.total : (w ? 0.0 : 1.0); }
  __device__ double value(int s, int w, const Sum& sum, double emitted) const { return product(s, w, sum) * emitted; }

  template <int R>
  __device__ void finish(int s0, int w0, int group, int lane, const Sum (&sums)[R][2], Shared<double, R>& shared) {
    if (!BACKWARD) return;
    // a has come by vertices, match goes by tokens
    constexpr int SPAN = GROUPS * R;
    __syncthreads();
    for (int e = threadIdx.x; e < TILE * SPAN; e += THREADS) {
      const int s = s0 + e % SPAN, w = w0 + e / SPAN;
      const bool present = s < tokens && w < vertices;
      shared.panel[e / SPAN][e % SPAN] = present ? sentence.alpha[sentence.at(token(s), vertex(w))] : 0;
    }
    __syncthreads();
#pragma unroll
    for (int r = 0; r < R; ++r) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int k = group + GROUPS * r, column = lane + LANES * half, s = s0 + k, w = w0 + column;
        if (s >= tokens || w >= vertices) continue;
        const double posterior = shared.panel[column][k] * product(s, w, sums[r][half]) * scale;
        const int t = token(s), j = vertex(w);
        const bool inside = sentence.inside(t, j);
        grad_match[static_cast<int64_t>(t) * sentence.sizes.length + j] = inside ? static_cast<T>(posterior) : 0;
      }
    }
  }
};

// The same in logarithms, token by token; the sums of a token are all made before its states are kept.
template <typename T, bool BACKWARD>
__device__ void in_logarithms(const Sentence<T>& sentence, double* states, T* grad_match, double grad) {
  const int vertices = sentence.graph.vertices, tokens = sentence.tokens;
  const double log_prob = BACKWARD ? sentence.end() : 0;
  for (int s = 0; s < tokens; ++s) {
    const int t = BACKWARD ? tokens - 1 - s : s;
    for (int j = threadIdx.x; j < vertices; j += THREADS) {
      double value = s == 0 && j == (BACKWARD ? vertices - 1 : 0) ? 0 : -infinity<double>;
      if (s) {
        const int start = BACKWARD ? j + 1 : max(0, j - sentence.graph.reach);
        const int stop = BACKWARD ? min(vertices - 1, j + sentence.graph.reach) : j - 1;
        const auto term = [&](int i) {
          const T transition = BACKWARD ? sentence.graph.at(j, i) : sentence.graph.at(i, j);
          return states[sentence.at(BACKWARD ? t + 1 : t - 1, i)] + transition;
        };
        double most = -infinity<double>, sum = 0;
        for (int i = start; i <= stop; ++i) most = fmax(most, term(i));
        if (most > -infinity<double>) {
          for (int i = start; i <= stop; ++i) sum += exp(static_cast<T>(term(i) - most));
          value = most + log(sum);
        }
      }
      const bool inside = sentence.inside(t, j);
      if (BACKWARD) {
        const double posterior = inside ? grad * exp(sentence.alpha[sentence.at(t, j)] + value - log_prob) : 0;
        grad_match[static_cast<int64_t>(t) * sentence.sizes.length + j] = static_cast<T>(posterior);
      }
      states[sentence.at(t, j)] = inside ? value + sentence.emission(t, j) : -infinity<double>;
    }
    __syncthreads();
  }
}

__device__ inline float greatest_of_warp(float value) {
  for (int offset = 16; offset; offset /= 2) value = fmaxf(value, __shfl_xor_sync(ALL_LANES, value, offset));
  return value;
}

template <typename T, int R>
__global__ void __launch_bounds__(THREADS) forward_sentences(Arguments<T> given, T* log_probs) {
  __shared__ Shared<double, R> shared;
  __shared__ bool exact;
  extern __shared__ float outgoing[];
  const int64_t b = blockIdx.x;
  const Sentence<T> sentence(given, b);
  const int targets = given.sizes.targets, vertices = sentence.graph.vertices, tokens = sentence.tokens;
  const int warp = threadIdx.x / TILE, lane = threadIdx.x % TILE;

  // what no sentence of this size reaches
  for (int64_t e = threadIdx.x; e < given.sizes.state(1); e += THREADS) {
    if (e / targets >= vertices || e % targets >= tokens) sentence.alpha[e] = 0;
  }
  for (int t = tokens + threadIdx.x; t < targets; t += THREADS) sentence.greatest[t] = -infinity<double>;
  for (int v = threadIdx.x; v < vertices; v += THREADS) outgoing[v] = 0;

  bool possible = tokens > 0 && sentence.first(0) <= sentence.last(0);
  for (int t = warp; t < tokens; t += THREADS / TILE) {
    T most = -infinity<T>;
    for (int j = sentence.first(t) + lane; j <= sentence.last(t); j += TILE) most = max(most, sentence.emission(t, j));
    for (int offset = 16; offset; offset /= 2) most = max(most, __shfl_xor_sync(ALL_LANES, most, offset));
    if (lane == 0) sentence.greatest[t] = most;
    possible = possible && most > -infinity<T>;
  }
  possible = __syncthreads_and(possible);
  if (!possible) {
    for (int64_t e = threadIdx.x; e < given.sizes.state(1); e += THREADS) sentence.alpha[e] = 0;
    for (int t = threadIdx.x; t < tokens; t += THREADS) sentence.greatest[t] = -infinity<double>;
    if (threadIdx.x == 0) log_probs[b] = -infinity<T>;
    return;
  }

  Probabilities<T, false> problem{sentence, sentence.alpha, outgoing, nullptr,
                                  0,        vertices,       tokens,   sentence.graph.reach};
  recurrence<R>(problem, shared);

  if (warp == 0) {
    float most = 0;
    for (int v = lane; v < vertices; v += TILE) most = fmaxf(most, outgoing[v]);
    most = greatest_of_warp(most);
    double total = 0;
    for (int t = lane; t < tokens; t += TILE) total += sentence.greatest[t];
    for (int offset = 16; offset; offset /= 2) total += __shfl_xor_sync(ALL_LANES, total, offset);
    if (lane == 0) {
      // the transitions of tokens after the first 16 R have been counted again
      const int rounds = (tokens + GROUPS * R - 1) / (GROUPS * R);
      const double excess = tokens > 1 ? (tokens - 1) * fmax(0.0, log(static_cast<double>(most) / rounds)) : 0;
      const double log_prob = log(sentence.end());
      exact = excess <= MOST && log_prob >= excess + LEAST;
      if (exact) log_probs[b] = static_cast<T>(total + log_prob);
    }
  }
  __syncthreads();
  if (exact) return;
  in_logarithms<T, false>(sentence, sentence.alpha, nullptr, 0);
  const double log_prob = sentence.end();
  // an impossible sentence keeps nothing, one in logarithms says so
  const double mark = log_prob > -infinity<double> ? infinity<double> : -infinity<double>;
  for (int t = threadIdx.x; t < tokens; t += THREADS) sentence.greatest[t] = mark;
  if (threadIdx.x == 0) log_probs[b] = static_cast<T>(log_prob);
}

template <typename T, int R>
__global__ void __launch_bounds__(THREADS)
    backward_sentences(Arguments<T> given, const T* grad, double* beta, T* grad_match) {
  __shared__ Shared<double, R> shared;
  const int64_t b = blockIdx.x;
  const Sentence<T> sentence(given, b);
  const int targets = given.sizes.targets, length = given.sizes.length;
  T* to = grad_match + b * targets * length;
  const double mark = sentence.tokens ? sentence.greatest[0] : -infinity<double>;
  const int vertices = sentence.graph.vertices, tokens = mark > -infinity<double> ? sentence.tokens : 0;
  for (int64_t e = threadIdx.x; e < static_cast<int64_t>(targets) * length; e += THREADS) {
    if (e / length >= tokens || e % length >= vertices) to[e] = T(0);
  }
  double* states = beta + given.sizes.state(b);
  if (tokens == 0) return;
  if (mark == infinity<double>) {
    in_logarithms<T, true>(sentence, states, to, grad[b]);
  } else {
    const double scale = grad[b] / sentence.end();
    Probabilities<T, true> problem{sentence, states, nullptr, to, scale, vertices, tokens, sentence.graph.reach};
    recurrence<R>(problem, shared);
  }
}

constexpr int DEPTH = 32;                      // tokens in shared memory at a time
constexpr int ROWS = TILE / (THREADS / TILE);  // rows of a tile that a warp has

// The gradient of a tile of transitions as they lie in memory: rows i0 + r, and columns c0 + lane.
template <typename T, bool BANDED>
__global__ void __launch_bounds__(THREADS)
    backward_links(Arguments<T> given, const T* grad, const double* beta, T* grad_transitions) {
  // b of the vertices that the tile's transitions lead to: TILE of them, banded up to 2 TILE - 1
  constexpr int REACHED = BANDED ? 2 * TILE : TILE;
  __shared__ double from[DEPTH][TILE + 2], to[REACHED][DEPTH + 1];
  const int64_t b = blockIdx.z;
  const Sentence<T> sentence(given, b);
  const Graph<T>& graph = sentence.graph;
  const int i0 = blockIdx.y * TILE, c0 = blockIdx.x * TILE;
  const int lane = threadIdx.x % TILE, row = threadIdx.x / TILE * ROWS;
  const int j0 = BANDED ? i0 + 1 + c0 : c0;
  const double mark = sentence.tokens ? sentence.greatest[0] : -infinity<double>;
  const bool needed = mark > -infinity<double> && i0 < graph.vertices && j0 < graph.vertices && j0 + REACHED - 1 > i0;

  double sums[ROWS] = {};
  if (needed) {
    const bool logarithms = mark == infinity<double>;
    const double log_prob = logarithms ? sentence.end() : 0;
    const double none = logarithms ? -infinity<double> : 0;
    double links[ROWS];
#pragma unroll
    for (int q = 0; q < ROWS; ++q) {
      const int i = i0 + row + q;
      links[q] = graph.at(i, BANDED ? i + 1 + c0 + lane : c0 + lane);
    }
    const double* a = sentence.alpha;
    const double* states = beta + given.sizes.state(b);
    for (int t0 = 1; t0 < sentence.tokens; t0 += DEPTH) {
      __syncthreads();
      for (int e = threadIdx.x; e < TILE * DEPTH; e += THREADS) {
        const int i = i0 + e / DEPTH, t = t0 + e % DEPTH;
        from[e % DEPTH][e / DEPTH] = i < graph.vertices && t < sentence.tokens ? a[sentence.at(t - 1, i)] : none;
      }
      for (int e = threadIdx.x; e < REACHED * DEPTH; e += THREADS) {
        const int j = j0 + e / DEPTH, t = t0 + e % DEPTH;
        to[e / DEPTH][e % DEPTH] = j < graph.vertices && t < sentence.tokens ? states[sentence.at(t, j)] : none;
      }
      __syncthreads();
      if (logarithms) {
        for (int t = 0; t < DEPTH; ++t) {
          for (int q = 0; q < ROWS; ++q) {
            const double b_t = to[BANDED ? row + q + lane : lane][t];
            sums[q] += exp(static_cast<T>(from[t][row + q] + links[q] + b_t - log_prob));
          }
        }
      } else {
#pragma unroll 4
        for (int t = 0; t < DEPTH; ++t) {
#pragma unroll
          for (int q = 0; q < ROWS; ++q) {
            sums[q] = fma(from[t][row + q], to[BANDED ? row + q + lane : lane][t], sums[q]);
          }
        }
      }
    }
    const double scale = logarithms ? grad[b] : grad[b] / sentence.end();
#pragma unroll
    for (int q = 0; q < ROWS; ++q) {
      const double transition = logarithms ? 1 : probability(static_cast<T>(links[q]));
      sums[q] = sums[q] * transition * scale;
    }
  }
  const int width = graph.stride;
#pragma unroll
  for (int q = 0; q < ROWS; ++q) {
    const int i = i0 + row + q, c = c0 + lane;
    if (i >= given.sizes.length || c >= width) continue;
    const bool exists = needed && graph.exists(i, BANDED ? i + 1 + c : c);
    grad_transitions[(b * given.sizes.length + i) * width + c] = exists ? static_cast<T>(sums[q]) : 0;
  }
}

template <typename T>
Arguments<T> arguments(const void* match, const void* transitions, const int64_t* graph_lengths,
                       const int64_t* target_lengths, const double* alpha, const double* greatest, int64_t batch,
                       int64_t targets, int64_t length, int64_t band) {
  return {static_cast<const T*>(match),
          static_cast<const T*>(transitions),
          graph_lengths,
          target_lengths,
          const_cast<double*>(alpha),
          const_cast<double*>(greatest),
          {batch, static_cast<int>(targets), static_cast<int>(length), static_cast<int>(band)}};
}

constexpr int64_t LONGEST = 5000;  // vertices whose sums fit into shared memory beside the rest

}  // namespace
}  // namespace natlab

// As on the CPU, but for the order of alpha.
NATLAB_API int natlab_dag_loss(const void* match, const void* transitions, const int64_t* graph_lengths,
                               const int64_t* target_lengths, void* log_probs, double* alpha, double* greatest,
                               int64_t type, int64_t batch, int64_t targets, int64_t length, int64_t band,
                               void* stream) {
  using namespace natlab;
  if (length > LONGEST) return UNSUPPORTED_SIZE;
  if (batch == 0) return 0;
  return by_accumulator(type, [&](auto element) {
    using T = decltype(element);
    const Arguments<T> given =
        arguments<T>(match, transitions, graph_lengths, target_lengths, alpha, greatest, batch, targets, length, band);
    return by_span(targets, [&](auto span) {
      constexpr int R = decltype(span)::value;
      forward_sentences<T, R><<<batch, THREADS, length * sizeof(float), static_cast<cudaStream_t>(stream)>>>(
          given, static_cast<T*>(log_probs));
      return static_cast<int>(cudaGetLastError());
    });
  });
}

// As on the CPU; the workspace, of alpha's size, holds b.
NATLAB_API int natlab_dag_loss_backward(const void* grad, const void* match, const void* transitions,
                                        const int64_t* graph_lengths, const int64_t* target_lengths,
                                        const double* alpha, const double* greatest, double* workspace,
                                        void* grad_match, void* grad_transitions, int64_t type, int64_t batch,
                                        int64_t targets, int64_t length, int64_t band, void* stream) {
  using namespace natlab;
  const auto tiles = [](int64_t size) { return static_cast<unsigned>((size + TILE - 1) / TILE); };
  if (length > LONGEST || batch > 65535) return UNSUPPORTED_SIZE;  // a grid's depth
  if (batch == 0 || length == 0) return 0;
  return by_accumulator(type, [&](auto element) {
    using T = decltype(element);
    const auto on = static_cast<cudaStream_t>(stream);
    const auto* given_grad = static_cast<const T*>(grad);
    const Arguments<T> given =
        arguments<T>(match, transitions, graph_lengths, target_lengths, alpha, greatest, batch, targets, length, band);
    const int status = by_span(targets, [&](auto span) {
      constexpr int R = decltype(span)::value;
      backward_sentences<T, R><<<batch, THREADS, 0, on>>>(given, given_grad, workspace, static_cast<T*>(grad_match));
      return static_cast<int>(cudaGetLastError());
    });
    if (status) return status;
    T* to = static_cast<T*>(grad_transitions);
    const dim3 grid(tiles(band ? band : length), tiles(length), static_cast<unsigned>(batch));
    if (band) {
      backward_links<T, true><<<grid, THREADS, 0, on>>>(given, given_grad, workspace, to);
    } else {
      backward_links<T, false><<<grid, THREADS, 0, on>>>(given, given_grad, workspace, to);
    }
    return static_cast<int>(cudaGetLastError());
  });
}
