// Sentence BLEU; natlab/kernels/sentence_bleu.py has the definition.
//
// The positions at which a sequence holds an n-gram are a set of bits: those of its first token, as far as the rest of
// the n-gram lies at the positions after them.

#include <algorithm>
#include <vector>

#include "bleu.h"

using namespace natlab;

namespace {

constexpr int64_t WORD = 64;

struct Sequence {
  const int64_t* tokens;
  int64_t length;
};

// The set of positions that hold a token, among the `count` from `tokens` on.
uint64_t holding(int64_t token, const int64_t* tokens, int64_t count) {
  uint64_t set = 0;
#pragma omp simd reduction(| : set)
  for (int64_t j = 0; j < count; ++j) set |= static_cast<uint64_t>(tokens[j] == token) << j;
  return set;
}

// The first `count` positions of a word; none if that is negative, all if it is more than there are.
uint64_t leading(int64_t count) {
  if (count <= 0) return 0;
  return count < WORD ? (uint64_t{1} << count) - 1 : ~uint64_t{0};
}

// Calls found(i, times) for each position i of one sequence, last to first, with how often another sequence holds the
// n-grams (n = 1 ... ORDERS) at i, among its leading positions(i).
template <typename Positions, typename Found>
void find(Sequence one, Sequence other, std::vector<uint64_t>& sets, Positions&& positions, Found&& found) {
  const int64_t words = (other.length + WORD - 1) / WORD;
  sets.assign(words * ORDERS, 0);  // of the n-grams at the position after
  for (int64_t i = one.length - 1; i >= 0; --i) {
    int times[ORDERS] = {};
    for (int64_t w = 0; w < words; ++w) {
      uint64_t *here = &sets[w * ORDERS], *next = w + 1 < words ? here + ORDERS : nullptr;
      const int64_t start = w * WORD;
      const uint64_t first = holding(one.tokens[i], other.tokens + start, std::min(WORD, other.length - start));
      for (int n = ORDERS - 1; n > 0; --n) here[n] = first & (here[n - 1] >> 1 | (next ? next[n - 1] << (WORD - 1) : 0));
      here[0] = first;
      const uint64_t counted = leading(positions(i) - start);
      for (int n = 0; n < ORDERS; ++n) times[n] += __builtin_popcountll(here[n] & counted);
    }
    found(i, times);
  }
}

}  // namespace

NATLAB_API int natlab_sentence_bleu(const int64_t* hypotheses, const int64_t* hypothesis_lengths,
                                    const int64_t* references, const int64_t* reference_lengths, const int64_t* pairs,
                                    double* scores, int64_t count, int64_t groups, int64_t hypothesis_rows,
                                    int64_t hypothesis_size, int64_t reference_rows, int64_t reference_size,
                                    int threads) {
  if (!within(hypothesis_lengths, hypothesis_rows, hypothesis_size)) return BAD_LENGTH;
  if (!within(reference_lengths, reference_rows, reference_size)) return BAD_LENGTH;
#pragma omp parallel num_threads(threads)
  {
    std::vector<uint64_t> sets;
    std::vector<int> earlier(hypothesis_size * ORDERS);  // equal n-grams before each one of the hypothesis
    int64_t of = -1;
#pragma omp for schedule(dynamic, 32)
    for (int64_t p = 0; p < count; ++p) {
      const Pair pair = pair_at(pairs, p, hypothesis_rows / groups, reference_rows / groups);
      const Sequence hypothesis = {hypotheses + pair.hypothesis * hypothesis_size, hypothesis_lengths[pair.hypothesis]};
      const Sequence reference = {references + pair.reference * reference_size, reference_lengths[pair.reference]};
      if (pair.hypothesis != of) {
        of = pair.hypothesis;
        find(
            hypothesis, hypothesis, sets, [](int64_t i) { return i; },
            [&](int64_t i, const int* times) { std::copy(times, times + ORDERS, &earlier[i * ORDERS]); });
      }
      int correct[ORDERS] = {};
      find(
          hypothesis, reference, sets, [&](int64_t) { return reference.length; },
          [&](int64_t i, const int* times) {
            for (int n = 0; n < ORDERS; ++n) correct[n] += earlier[i * ORDERS + n] < times[n];
          });
      scores[p] = bleu(correct, hypothesis.length, reference.length);
    }
  }
  return 0;
}
