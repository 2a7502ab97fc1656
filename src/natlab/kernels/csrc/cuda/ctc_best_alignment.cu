// The best CTC paths; see natlab/kernels/ctc_best_alignment.py.
//
// One block a sentence: a thread a state (or several), and a barrier a position. The steps taken into each state, 0 to
// 2 states on, are kept for the walk back, which one thread does through shared memory, some positions at a time.
#include "natlab.h"

namespace natlab {
namespace {

constexpr int THREADS = 128;
constexpr int POSITIONS = 16;  // of the walk back in shared memory at a time

template <typename T>
__global__ void __launch_bounds__(THREADS)
    best_alignments(const T* match, const T* blank, const int64_t* tokens, const int64_t* lengths,
                    const int64_t* target_lengths, uint8_t* steps, T* log_probs, int64_t* alignments, int targets,
                    int length) {
  extern __shared__ double memory[];
  const int all_states = 2 * targets + 1;
  // the scores of two positions in turn, each behind two states that do not exist
  T* scores = reinterpret_cast<T*>(memory);
  uint8_t* taken = reinterpret_cast<uint8_t*>(scores + 2 * (all_states + 2));
  const int64_t b = blockIdx.x;
  const int64_t* token = tokens + b * targets;
  const int64_t given_length = lengths[b], given_targets = target_lengths[b];
  const T *matches = match + b * targets * length, *blanks = blank + b * length;
  uint8_t* step = steps + b * length * all_states;
  int64_t* alignment = alignments + b * length;

  for (int l = threadIdx.x; l < length; l += THREADS) alignment[l] = -1;
  const bool fits = given_targets >= 0 && given_targets <= targets && given_length >= 1 && given_length <= length;
  if (!fits) {
    if (threadIdx.x == 0) log_probs[b] = given_targets == 0 && given_length == 0 ? T(0) : -infinity<T>;
    return;
  }
  const int positions = static_cast<int>(given_length), last = static_cast<int>(2 * given_targets);
  const auto row = [&](int l) { return scores + (l % 2) * (all_states + 2) + 2; };
  if (threadIdx.x < 4) row(threadIdx.x / 2)[-1 - static_cast<int>(threadIdx.x % 2)] = -infinity<T>;
  for (int l = 0; l < positions; ++l) {
    __syncthreads();
    const T* before = row(l + 1);
    T* now = row(l);
    for (int u = threadIdx.x; u <= last; u += THREADS) {
      const bool emits = u % 2;
      const T emission = emits ? matches[static_cast<int64_t>(u / 2) * length + l] : blanks[l];
      T best = u < 2 ? 0 : -infinity<T>;
      uint8_t from = 0;
      if (l) {
        best = before[u];
        if (before[u - 1] > best) best = before[u - 1], from = 1;
        if (emits && u > 1 && token[u / 2] != token[u / 2 - 1] && before[u - 2] > best) best = before[u - 2], from = 2;
      }
      now[u] = best + emission;
      step[static_cast<int64_t>(l) * all_states + u] = from;
    }
  }
  __syncthreads();

  const T* end = row(positions - 1);
  const bool early = end[last - 1] > end[last];  // in the last token; without tokens that state does not exist
  const T log_prob = end[early ? last - 1 : last];
  if (threadIdx.x == 0) log_probs[b] = log_prob;
  if (log_prob == -infinity<T>) return;
  int state = early ? last - 1 : last;  // the first thread's alone
  for (int stop = positions; stop > 0; stop -= POSITIONS) {
    const int start = max(0, stop - POSITIONS), width = last + 1;
    __syncthreads();
    for (int e = threadIdx.x; e < (stop - start) * width; e += THREADS) {
      taken[e] = step[static_cast<int64_t>(start + e / width) * all_states + e % width];
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      for (int l = stop - 1; l >= start; --l) {
        if (state % 2) alignment[l] = state / 2;
        state -= taken[(l - start) * width + state];
      }
    }
  }
}

}  // namespace
}  // namespace natlab

// As on the CPU, with room for the steps taken [batch, length, 2 targets + 1], uint8.
NATLAB_API int natlab_ctc_best_alignment(const void* match, const void* blank, const int64_t* tokens,
                                         const int64_t* lengths, const int64_t* target_lengths, uint8_t* steps,
                                         void* log_probs, int64_t* alignments, int64_t type, int64_t batch,
                                         int64_t targets, int64_t length, void* stream) {
  using namespace natlab;
  if (batch == 0) return 0;
  return by_accumulator(type, [&](auto element) {
    using T = decltype(element);
    const int64_t states = 2 * targets + 1, bytes = 2 * (states + 2) * sizeof(T) + POSITIONS * states;
    if (bytes > 48 * 1024) return static_cast<int>(UNSUPPORTED_SIZE);
    best_alignments<T><<<batch, THREADS, bytes, static_cast<cudaStream_t>(stream)>>>(
        static_cast<const T*>(match), static_cast<const T*>(blank), tokens, lengths, target_lengths, steps,
        static_cast<T*>(log_probs), alignments, static_cast<int>(targets), static_cast<int>(length));
    return static_cast<int>(cudaGetLastError());
  });
}
