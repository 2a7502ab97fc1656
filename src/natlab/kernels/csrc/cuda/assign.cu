// Minimum-cost assignment by shortest augmenting paths; natlab/kernels/assign.py has the recurrence.
//
// A block a problem, a thread a column: a column's distance stays in its thread's registers, and a step of Dijkstra's
// algorithm is one coalesced read of a row and one reduction over the block.

#include "natlab.h"

using namespace natlab;

namespace {

constexpr int MOST = 1024;  // columns: the threads of a block
constexpr int WARP = 32;
constexpr int NONE = -1;
constexpr double FAR = infinity<double>;
constexpr double LIMIT = std::numeric_limits<float>::max();  // costs beyond are forbidden

// A distance and what lies there. Of several equally near the lowest key is the nearest.
struct Nearest {
  double distance;
  int key;
};

__device__ Nearest nearer(Nearest a, Nearest b) {
  return b.distance < a.distance || (b.distance == a.distance && b.key < a.key) ? b : a;
}

__device__ Nearest warp_nearest(Nearest mine) {
  for (int step = WARP / 2; step > 0; step /= 2) {
    const Nearest other = {__shfl_xor_sync(~0u, mine.distance, step), __shfl_xor_sync(~0u, mine.key, step)};
    mine = nearer(mine, other);
  }
  return mine;
}

// The nearest of the whole block, for all of its threads. Two buffers take turns, so that one barrier is enough: who
// writes a buffer again has passed the barrier of the other, and everybody had read this one before coming there.
class BlockNearest {
 public:
  __device__ Nearest operator()(Nearest mine) {
    __shared__ Nearest buffers[2][WARP];
    mine = warp_nearest(mine);
    const int lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
    Nearest* of_warps = buffers[turn];
    turn = 1 - turn;
    if (lane == 0) of_warps[threadIdx.x / WARP] = mine;
    __syncthreads();
    return warp_nearest(lane < warps ? of_warps[lane] : Nearest{FAR, 2 * MOST});
  }

 private:
  int turn = 0;
};

template <typename T>
__global__ void assign_kernel(const T* __restrict__ costs, const int64_t* __restrict__ lengths,
                              int64_t* __restrict__ columns, int size) {
  extern __shared__ double shared[];
  double* price = shared;
  int* via = reinterpret_cast<int*>(price + size);  // the row before a column on its shortest path
  int* row_of = via + size;
  int* column_of = row_of + size;

  const T* cost = costs + static_cast<int64_t>(blockIdx.x) * size * size;
  const int length = static_cast<int>(max(int64_t{0}, min(lengths[blockIdx.x], static_cast<int64_t>(size))));
  const int column = threadIdx.x;
  const bool counts = column < length;
  BlockNearest block_nearest;

  // each column at the cost of its cheapest row; the lowest such column of a row takes it
  double cheapest = FAR, dearest = -FAR;
  int cheapest_row = 0;
  for (int i = 0; counts && i < length; ++i) {
    const double value = load(cost[i * size + column]);
    if (!(fabs(value) <= LIMIT)) continue;
    if (value < cheapest) {
      cheapest = value;
      cheapest_row = i;
    }
    dearest = fmax(dearest, value);
  }
  const double low = block_nearest({cheapest, column}).distance;
  const double high = -block_nearest({-dearest, column}).distance;
  const double forbidden = high < low ? 0 : high + length * (high > low ? high - low : 1);
  const auto at = [&](int i, int j) {
    const double value = load(cost[i * size + j]);
    return fabs(value) <= LIMIT ? value : forbidden;
  };
  if (counts) {
    price[column] = cheapest < FAR ? cheapest : forbidden;
    column_of[column] = size;
  }
  __syncthreads();
  if (counts) atomicMin(&column_of[cheapest_row], column);
  __syncthreads();
  if (counts) row_of[column] = column_of[cheapest_row] == column ? cheapest_row : NONE;
  __syncthreads();
  if (counts && column_of[column] == size) column_of[column] = NONE;
  __syncthreads();

  for (int start = 0; start < length; ++start) {
    if (column_of[start] != NONE) continue;
    // the cheapest path from row `start` to a free column
    double distance = FAR, offset = 0;
    int before = NONE, row = start;
    bool reached = !counts;
    Nearest nearest;
    while (true) {
      if (!reached) {
        const double through = at(row, column) - price[column] - offset;
        if (through < distance) {
          distance = through;
          before = row;
        }
      }
      const bool taken = counts && row_of[column] != NONE;
      nearest = block_nearest({reached ? FAR : distance, taken ? column + size : column});
      if (nearest.key < size) break;
      const int next = nearest.key - size;
      reached |= next == column;
      row = row_of[next];
      offset = at(row, next) - price[next] - nearest.distance;
    }
    if (counts) {
      via[column] = before;
      if (reached) price[column] += distance - nearest.distance;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      for (int j = nearest.key; j != NONE;) {
        const int i = via[j], freed = column_of[i];
        row_of[j] = i;
        column_of[i] = j;
        j = freed;
      }
    }
    __syncthreads();
  }
  if (column < size) columns[static_cast<int64_t>(blockIdx.x) * size + column] = counts ? column_of[column] : NONE;
}

}  // namespace

NATLAB_API int natlab_assign(const void* cost, const int64_t* lengths, int64_t* columns, int64_t type, int64_t batch,
                             int64_t size, void* stream) {
  if (size > MOST) return UNSUPPORTED_SIZE;
  if (batch == 0 || size == 0) return 0;
  return by_type(type, [&](auto zero) -> int {
    using T = decltype(zero);
    const unsigned threads = static_cast<unsigned>((size + WARP - 1) / WARP * WARP);
    const size_t shared = size * (sizeof(double) + 3 * sizeof(int));
    assign_kernel<<<static_cast<unsigned>(batch), threads, shared, static_cast<cudaStream_t>(stream)>>>(
        static_cast<const T*>(cost), lengths, columns, static_cast<int>(size));
    return cudaGetLastError();
  });
}
