// The likeliest word of each row of logits, and log sum exp; see natlab/kernels/likeliest.py.
#include <algorithm>
#include <limits>
#include <vector>

#include "natlab.h"
#include "normaliser.h"

namespace natlab {
namespace {

template <typename T>
void likeliest(const T* logits, const int64_t* never, int64_t* words, accumulator<T>* normalisers, int64_t rows,
               int64_t vocabulary, int64_t nevers, int threads) {
  using A = accumulator<T>;
#pragma omp parallel num_threads(threads)
  {
    std::vector<A> row(vocabulary);
#pragma omp for schedule(static)
    for (int64_t n = 0; n < rows; ++n) {
      for (int64_t v = 0; v < vocabulary; ++v) row[v] = load(logits[n * vocabulary + v]);
      const Normaliser<A> whole = normaliser(row.data(), vocabulary);
      normalisers[n] = whole.greatest + whole.log_sum;
      for (int64_t k = 0; k < nevers; ++k) row[never[k]] = -infinity<A>;
      const A greatest = nevers ? greatest_of(row.data(), vocabulary) : whole.greatest;
      words[n] = greatest == greatest ? first_of(row.data(), vocabulary, greatest) : 0;
    }
  }
}

}  // namespace
}  // namespace natlab

// logits [rows, vocabulary] of `type`, words that are not taken never [nevers] -> words [rows] and, in the accumulator of
// `type`, normalisers [rows].
NATLAB_API int natlab_likeliest(const void* logits, const int64_t* never, void* words, void* normalisers, int64_t type,
                                int64_t rows, int64_t vocabulary, int64_t nevers, int threads) {
  return natlab::by_type(type, [&](auto element) {
    using T = decltype(element);
    natlab::likeliest(static_cast<const T*>(logits), never, static_cast<int64_t*>(words),
                      static_cast<natlab::accumulator<T>*>(normalisers), rows, vocabulary, nevers, threads);
    return 0;
  });
}
