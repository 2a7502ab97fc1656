// Sentence BLEU; natlab/kernels/sentence_bleu.py has the definition.
//
// The positions at which the reference holds an n-gram are a set of bits: those of its first token, as far as the rest of
// the n-gram lies at the positions after them. The sets of two n-grams are equal or disjoint, so that each n-gram of the
// hypothesis may take any position of its set that is not taken yet.

#include <algorithm>
#include <vector>

#include "bleu.h"

using namespace natlab;

namespace {

constexpr int64_t WORD = 64, LANES = 8;

struct Sequence {
  const int64_t* tokens;
  int64_t length;
};

class Reference {
 public:
  void read(Sequence reference) {
    length = reference.length;
    tokens.resize((length + LANES - 1) / LANES * LANES);
    std::copy(reference.tokens, reference.tokens + length, tokens.begin());
  }

  // How many n-grams of each order n the hypothesis and the reference share.
  void match(Sequence hypothesis, int* correct) {
    std::fill(correct, correct + ORDERS, 0);
    words.assign((length + WORD - 1) / WORD, Word{});
    for (int64_t i = hypothesis.length - 1; i >= 0; --i) {
      bool taken[ORDERS] = {};
      for (size_t w = 0; w < words.size(); ++w) {
        Word& word = words[w];
        const uint64_t first = holding(hypothesis.tokens[i], w);
        for (int n = ORDERS - 1; n > 0; --n) {
          const uint64_t carried = w + 1 < words.size() ? words[w + 1].found[n - 1] << (WORD - 1) : 0;
          word.found[n] = first & (word.found[n - 1] >> 1 | carried);
        }
        word.found[0] = first;
        for (int n = 0; n < ORDERS; ++n) {
          const uint64_t open = taken[n] ? 0 : word.found[n] & ~word.taken[n];
          word.taken[n] |= open & -open;
          taken[n] |= open != 0;
        }
      }
      for (int n = 0; n < ORDERS; ++n) correct[n] += taken[n];
    }
  }

 private:
  // Positions of the reference: where it holds the n-grams (n = 1 ... ORDERS) at the position after i in the hypothesis,
  // and which have been taken by an n-gram.
  struct Word {
    uint64_t found[ORDERS], taken[ORDERS];
  };

  int64_t length;
  std::vector<int64_t> tokens;  // in whole vectors, so that none is compared one by one
  std::vector<Word> words;

  // The set of positions in the w-th word that hold a token.
  uint64_t holding(int64_t token, int64_t w) const {
    const int64_t* from = tokens.data() + w * WORD;
    const int64_t vectors = std::min<int64_t>(WORD, tokens.size() - w * WORD) / LANES, rest = length - w * WORD;
    uint64_t set = 0;
#pragma omp simd reduction(| : set)
    for (int64_t j = 0; j < vectors * LANES; ++j) set |= static_cast<uint64_t>(from[j] == token) << j;
    return rest < WORD ? set & ((uint64_t{1} << rest) - 1) : set;
  }
};

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
    Reference reference;
#pragma omp for schedule(dynamic, 64)
    for (int64_t p = 0; p < count; ++p) {
      const Pair pair = pair_at(pairs, p, hypothesis_rows / groups, reference_rows / groups);
      const int64_t h = hypothesis_lengths[pair.hypothesis], r = reference_lengths[pair.reference];
      int correct[ORDERS];
      reference.read({references + pair.reference * reference_size, r});
      reference.match({hypotheses + pair.hypothesis * hypothesis_size, h}, correct);
      scores[p] = bleu(correct, h, r);
    }
  }
  return 0;
}
