// The recurrences over a directed acyclic graph, one block a sentence; see docs/kernels/dag_loss.md.
//
// All of them have the form
//
//     x[s, w] = f(emission[s, w], sum over v < w of x[s - 1, v] * transition[v, w])
//
// for tokens s and vertices v, w. It is computed a tile of vertices w at a time, for up to 16 R tokens s at once: the
// part of the sum from earlier tiles is a product of matrices, since there x is known for all tokens; the tile itself
// is done vertex by vertex. So every transition is read (and exponentiated) once, and what is sequential takes as many
// steps as there are vertices, each with one barrier.
#pragma once

#include <cstdint>
#include <type_traits>

#include "natlab.h"

namespace natlab {

constexpr int TILE = 32;
constexpr int LANES = 16;   // a thread has the columns lane and lane + 16 of a tile,
constexpr int GROUPS = 16;  // and the tokens group + 16 r, r < R
constexpr int THREADS = LANES * GROUPS;
constexpr unsigned ALL_LANES = 0xffffffffu;

// A sentence's transitions: dense (column j from i to j) or banded (column k to i + 1 + k).
template <typename T>
struct Graph {
  const T* data;
  int vertices, reach, stride;
  bool banded;

  __device__ bool exists(int i, int j) const { return i >= 0 && j > i && j < vertices && j - i <= reach; }
  __device__ int64_t index(int i, int j) const { return static_cast<int64_t>(i) * stride + (banded ? j - i - 1 : j); }
  // -inf where there is no transition
  __device__ T at(int i, int j) const { return exists(i, j) ? data[index(i, j)] : -infinity<T>; }
};

// Sentence b's graph among transitions [batch, length, length], or [batch, length, band] where band is not 0. With more
// vertices than there is room for it is none.
template <typename T>
__device__ Graph<T> graph_of(const T* transitions, int64_t b, int length, int band, int64_t vertices) {
  const int stride = band ? band : length;
  const int present = vertices <= length ? static_cast<int>(vertices) : 0;
  return {transitions + b * length * stride, present, band ? band : length - 1, stride, band > 0};
}

template <typename Value, int R>
struct Shared {
  Value transitions[TILE][TILE + 1];
  // x of a tile of vertices, for the tokens one earlier than those at work: of token s0 + k - 1 in column k
  Value panel[TILE][GROUPS * R + 1];
};

// A Problem has
//     Element            the type of transitions and emissions in memory
//     Value              that of x, and of them where they are summed
//     Sum                an empty sum, with add(x, transition, v)
//     REVERSED           whether neighbouring v, instead of neighbouring w, lie next to each other in memory
//     vertices, tokens, reach
//     transition(v, w)   as in memory, also for vertices beyond the graph;  transition_value(v, that) as it is summed,
//                        called by whole warps, one v each
//     emission(s, w)     as in memory, also for tokens and vertices beyond;  emission_value(s, w, that)
//     state(s, v)        x from memory, also for tokens below 0 and vertices beyond
//     keep(s, v, x)      writes it
//     value(s, w, sum, emission value)                 x
//     finish(s0, w0, group, lane, sums, shared)        called when a tile is done, by the whole block
template <int R, typename Problem>
__device__ void recurrence(Problem& problem, Shared<typename Problem::Value, R>& shared) {
  using Element = typename Problem::Element;
  using Value = typename Problem::Value;
  constexpr int SPAN = GROUPS * R;
  constexpr int LINKS = TILE * TILE / THREADS, STATES = TILE * SPAN / THREADS;
  const int lane = threadIdx.x % LANES, group = threadIdx.x / LANES;

  for (int s0 = 0; s0 < problem.tokens; s0 += SPAN) {
    for (int w0 = 0; w0 < problem.vertices; w0 += TILE) {
      // what is fetched is used later, so that its loads overlap with the tile at work
      Element links[LINKS], emissions[R][2];
      Value states[STATES];
      const auto fetch = [&](int v0) {
#pragma unroll
        for (int q = 0; q < LINKS; ++q) {
          const int fast = threadIdx.x % TILE, slow = threadIdx.x / TILE + q * (THREADS / TILE);
          links[q] =
              Problem::REVERSED ? problem.transition(v0 + fast, w0 + slow) : problem.transition(v0 + slow, w0 + fast);
        }
        if (v0 < w0) {
#pragma unroll
          for (int q = 0; q < STATES; ++q) {
            const int e = threadIdx.x + q * THREADS;
            states[q] = problem.state(s0 + e % SPAN - 1, v0 + e / SPAN);
          }
        }
      };
      typename Problem::Sum sums[R][2];
#pragma unroll
      for (int r = 0; r < R; ++r) {
        // said again, as nvcc 13.0 constructs the first row of such an array only, and leaves zeros in the others
        sums[r][0] = sums[r][1] = {};
        emissions[r][0] = problem.emission(s0 + group + GROUPS * r, w0 + lane);
        emissions[r][1] = problem.emission(s0 + group + GROUPS * r, w0 + lane + LANES);
      }
      const int first = max(0, w0 - problem.reach) / TILE * TILE;
      fetch(first);
      for (int v0 = first; v0 <= w0; v0 += TILE) {
        __syncthreads();  // the tile before has been used
#pragma unroll
        for (int q = 0; q < LINKS; ++q) {
          const int fast = threadIdx.x % TILE, slow = threadIdx.x / TILE + q * (THREADS / TILE);
          const int v = Problem::REVERSED ? fast : slow, w = Problem::REVERSED ? slow : fast;
          shared.transitions[v][w] = problem.transition_value(v0 + v, links[q]);
        }
        if (v0 < w0) {
#pragma unroll
          for (int q = 0; q < STATES; ++q) {
            const int e = threadIdx.x + q * THREADS;
            shared.panel[e / SPAN][e % SPAN] = states[q];
          }
        } else if (threadIdx.x < TILE) {
          shared.panel[threadIdx.x][0] = problem.state(s0 - 1, w0 + threadIdx.x);
        }
        __syncthreads();
        if (v0 == w0) break;
        fetch(v0 + TILE);
#pragma unroll 4
        for (int v = 0; v < TILE; ++v) {
          const Value left = shared.transitions[v][lane], right = shared.transitions[v][lane + LANES];
#pragma unroll
          for (int r = 0; r < R; ++r) {
            const Value x = shared.panel[v][group + GROUPS * r];
            sums[r][0].add(x, left, v0 + v);
            sums[r][1].add(x, right, v0 + v);
          }
        }
      }

      Value emitted[R][2];
#pragma unroll
      for (int r = 0; r < R; ++r) {
        const int s = s0 + group + GROUPS * r;
        emitted[r][0] = problem.emission_value(s, w0 + lane, emissions[r][0]);
        emitted[r][1] = problem.emission_value(s, w0 + lane + LANES, emissions[r][1]);
      }
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        for (int turn = 0; turn < LANES; ++turn) {
          const int w = half * LANES + turn;
          if (lane == turn) {
#pragma unroll
            for (int r = 0; r < R; ++r) {
              const int k = group + GROUPS * r;
              shared.panel[w][k + 1] = problem.value(s0 + k, w0 + w, sums[r][half], emitted[r][half]);
            }
          }
          __syncthreads();
          // transitions to w itself and to what lies before it are none, and change no sum
          const Value left = shared.transitions[w][lane], right = shared.transitions[w][lane + LANES];
#pragma unroll
          for (int r = 0; r < R; ++r) {
            const Value x = shared.panel[w][group + GROUPS * r];
            sums[r][0].add(x, left, w0 + w);
            sums[r][1].add(x, right, w0 + w);
          }
        }
      }

      for (int e = threadIdx.x; e < TILE * SPAN; e += THREADS) {
        const int s = s0 + e % SPAN, w = w0 + e / SPAN;
        if (s < problem.tokens && w < problem.vertices) problem.keep(s, w, shared.panel[e / SPAN][e % SPAN + 1]);
      }
      problem.finish(s0, w0, group, lane, sums, shared);
      __syncthreads();  // what was kept is seen by the whole block
    }
  }
}

// Calls function(std::integral_constant) with an R that suits so many tokens.
template <typename Function>
int by_span(int64_t tokens, Function&& function) {
  if (tokens <= 2 * GROUPS) return function(std::integral_constant<int, 2>{});
  return function(std::integral_constant<int, 3>{});
}

}  // namespace natlab
