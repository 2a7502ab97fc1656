// Minimum-cost assignment by shortest augmenting paths; natlab/kernels/assign.py has the recurrence.

#include <algorithm>
#include <cmath>
#include <vector>

#include "natlab.h"

using namespace natlab;

namespace {

constexpr double FAR = infinity<double>;
constexpr double LIMIT = std::numeric_limits<float>::max();  // costs beyond are forbidden

// One problem, [size, size]. Its arrays serve the next problem, too.
class Assignment {
 public:
  // The leading rows and columns of a matrix; forbidden entries are replaced by costs above those of n allowed ones.
  template <typename T>
  void read(const T* matrix, int64_t columns, int64_t length) {
    size = length;
    cost.resize(size * size);
    double low = FAR, high = -FAR;
    for (int64_t i = 0; i < size; ++i) {
      const T* from = matrix + i * columns;
      double* to = row(i);
#pragma omp simd reduction(min : low) reduction(max : high)
      for (int64_t j = 0; j < size; ++j) {
        const double value = load(from[j]);
        const bool allowed = std::abs(value) <= LIMIT;
        to[j] = allowed ? value : FAR;
        low = std::min(low, allowed ? value : FAR);
        high = std::max(high, allowed ? value : -FAR);
      }
    }
    const double spread = high > low ? high - low : 1;
    const double forbidden = high >= low ? high + static_cast<double>(size) * spread : 0;
    for (double& value : cost) value = value == FAR ? forbidden : value;
  }

  void solve() {
    column_of.assign(size, NONE);
    row_of.assign(size, NONE);
    order.resize(size);
    for (int64_t j = 0; j < size; ++j) order[j] = j;
    distance.resize(size);
    barrier.resize(size);
    via.resize(size);
    reduce_columns();
    for (int64_t i = 0; i < size; ++i) {
      if (column_of[i] == NONE) augment(i);
    }
  }

  void write(int64_t* columns) const { std::copy(column_of.begin(), column_of.end(), columns); }

 private:
  static constexpr int64_t NONE = -1;

  int64_t size;
  std::vector<double> cost;
  std::vector<double> price;
  std::vector<int64_t> column_of, row_of;
  std::vector<int64_t> order;      // of columns to choose among the nearest: the free ones come first
  std::vector<double> distance;    // of columns, from the row that is to be assigned
  std::vector<int64_t> via;        // the row before a column on its shortest path
  std::vector<double> barrier;     // 0, or FAR for a column that has been reached
  std::vector<int64_t> reached;

  double* row(int64_t i) { return cost.data() + i * size; }

  void match(int64_t i, int64_t j) {
    column_of[i] = j;
    row_of[j] = i;
    order[j] = j + size;
  }

  // Each column at the cost of its cheapest row, which takes it if it has none yet.
  void reduce_columns() {
    price.assign(size, FAR);
    via.assign(size, 0);
    for (int64_t i = 0; i < size; ++i) {
      const double* c = row(i);
      double* p = price.data();
      int64_t* cheapest = via.data();
#pragma omp simd
      for (int64_t j = 0; j < size; ++j) {
        cheapest[j] = c[j] < p[j] ? i : cheapest[j];
        p[j] = std::min(c[j], p[j]);
      }
    }
    for (int64_t j = 0; j < size; ++j) {
      if (column_of[via[j]] == NONE) match(via[j], j);
    }
  }

  // Assigns row `start`: the cheapest path to a free column, along which rows exchange columns.
  void augment(int64_t start) {
    std::fill(distance.begin(), distance.end(), FAR);
    std::fill(barrier.begin(), barrier.end(), 0);
    reached.clear();
    int64_t i = start, nearest;
    double offset = 0, mu;
    while (true) {
      nearest = relax(i, offset);
      mu = distance[nearest];
      if (row_of[nearest] == NONE) break;
      barrier[nearest] = FAR;
      reached.push_back(nearest);
      i = row_of[nearest];
      offset = row(i)[nearest] - price[nearest] - mu;
    }
    for (const int64_t j : reached) price[j] += distance[j] - mu;
    while (true) {
      i = via[nearest];
      const int64_t before = column_of[i];
      match(i, nearest);
      if (i == start) break;
      nearest = before;
    }
  }

  // Distances by way of row i; returns the nearest of the columns not reached yet.
  int64_t relax(int64_t i, double offset) {
    const double *c = row(i), *p = price.data(), *b = barrier.data();
    double* d = distance.data();
    int64_t* v = via.data();
    const int64_t* o = order.data();
    double least = FAR;
#pragma omp simd reduction(min : least)
    for (int64_t j = 0; j < size; ++j) {
      const double through = c[j] - p[j] - offset + b[j], before = d[j];
      const int64_t row_before = v[j];
      v[j] = through < before ? i : row_before;
      d[j] = through < before ? through : before;
      least = std::min(least, d[j] + b[j]);
    }
    int64_t first = 2 * size;
#pragma omp simd reduction(min : first)
    for (int64_t j = 0; j < size; ++j) first = std::min(first, d[j] + b[j] == least ? o[j] : 2 * size);
    return first < size ? first : first - size;
  }
};

}  // namespace

NATLAB_API int natlab_assign(const void* cost, const int64_t* lengths, int64_t* columns, int64_t type, int64_t batch,
                             int64_t size, int threads) {
  if (!within(lengths, batch, size)) return BAD_LENGTH;
  return by_type(type, [&](auto zero) {
    using T = decltype(zero);
    const T* matrices = static_cast<const T*>(cost);
    std::fill(columns, columns + batch * size, -1);
#pragma omp parallel num_threads(threads)
    {
      Assignment problem;
#pragma omp for schedule(dynamic)
      for (int64_t b = 0; b < batch; ++b) {
        problem.read(matrices + b * size * size, size, lengths[b]);
        problem.solve();
        problem.write(columns + b * size);
      }
    }
    return 0;
  });
}
