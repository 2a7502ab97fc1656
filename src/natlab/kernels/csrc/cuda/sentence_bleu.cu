// Sentence BLEU; natlab/kernels/sentence_bleu.py has the definition.
//
// A warp a pair, a lane a position of the hypothesis: it compares its n-grams with those at all positions of the
// reference, and with those before it in the hypothesis.

#include <cassert>

#include "bleu.h"

using namespace natlab;

namespace {

constexpr int WARP = 32;
constexpr int WARPS = 4;  // of a block

struct Sequence {
  const int64_t* tokens;
  int64_t length;
};

__device__ Sequence sequence(const int64_t* tokens, const int64_t* lengths, int64_t row, int64_t size) {
  const int64_t length = lengths[row];
  return {tokens + row * size, length < 0 ? 0 : length > size ? size : length};
}

// Adds to times[n - 1] how often the n-gram at position i of one sequence lies in the other, at its leading positions.
__device__ void find(Sequence one, int64_t i, Sequence other, int64_t positions, int* times) {
  for (int64_t j = 0; j < positions; ++j) {
    for (int n = 0; n < ORDERS && i + n < one.length && j + n < other.length; ++n) {
      if (one.tokens[i + n] != other.tokens[j + n]) break;
      ++times[n];
    }
  }
}

__global__ void bleu_kernel(const int64_t* __restrict__ hypotheses, const int64_t* __restrict__ hypothesis_lengths,
                            const int64_t* __restrict__ references, const int64_t* __restrict__ reference_lengths,
                            const int64_t* __restrict__ pairs, double* __restrict__ scores, int64_t count,
                            int64_t groups, int64_t hypothesis_rows, int64_t hypothesis_size, int64_t reference_rows,
                            int64_t reference_size) {
  const int64_t p = static_cast<int64_t>(blockIdx.x) * WARPS + threadIdx.x / WARP;
  if (p >= count) return;  // the whole warp
  const int lane = threadIdx.x % WARP;
  const Pair pair = pair_at(pairs, p, hypothesis_rows / groups, reference_rows / groups);
  assert(0 <= pair.hypothesis && pair.hypothesis < hypothesis_rows);
  assert(0 <= pair.reference && pair.reference < reference_rows);
  const Sequence hypothesis = sequence(hypotheses, hypothesis_lengths, pair.hypothesis, hypothesis_size);
  const Sequence reference = sequence(references, reference_lengths, pair.reference, reference_size);

  int correct[ORDERS] = {};
  for (int64_t i = lane; i < hypothesis.length; i += WARP) {
    int times[ORDERS] = {}, earlier[ORDERS] = {};
    find(hypothesis, i, reference, reference.length, times);
    find(hypothesis, i, hypothesis, i, earlier);
    for (int n = 0; n < ORDERS; ++n) correct[n] += earlier[n] < times[n];
  }
  for (int n = 0; n < ORDERS; ++n) {
    for (int step = WARP / 2; step > 0; step /= 2) correct[n] += __shfl_xor_sync(~0u, correct[n], step);
  }
  if (lane == 0) scores[p] = bleu(correct, hypothesis.length, reference.length);
}

}  // namespace

NATLAB_API int natlab_sentence_bleu(const int64_t* hypotheses, const int64_t* hypothesis_lengths,
                                    const int64_t* references, const int64_t* reference_lengths, const int64_t* pairs,
                                    double* scores, int64_t count, int64_t groups, int64_t hypothesis_rows,
                                    int64_t hypothesis_size, int64_t reference_rows, int64_t reference_size,
                                    void* stream) {
  if (count == 0) return 0;
  bleu_kernel<<<static_cast<unsigned>((count + WARPS - 1) / WARPS), WARPS * WARP, 0,
                static_cast<cudaStream_t>(stream)>>>(hypotheses, hypothesis_lengths, references, reference_lengths,
                                                     pairs, scores, count, groups, hypothesis_rows, hypothesis_size,
                                                     reference_rows, reference_size);
  return cudaGetLastError();
}
