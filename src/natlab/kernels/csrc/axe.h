// What AXE's code for CPU and CUDA shares.
#pragma once

#include "natlab.h"

namespace natlab {

// as natlab/kernels/axe_align.py numbers them
constexpr int8_t NONE = -1, ALIGN = 0, SKIP_PREDICTION = 1, SKIP_TARGET = 2;

// The cheapest operation, the first of several.
template <typename A>
NATLAB_BOTH inline int8_t choose(A align, A skip_prediction, A skip_target) {
  const int8_t skip = skip_target < skip_prediction ? SKIP_TARGET : SKIP_PREDICTION;
  const A skipping = skip_target < skip_prediction ? skip_target : skip_prediction;
  return skipping < align ? skip : ALIGN;
}

// The gradients of one sentence, which are 0 so far: each operation's log-probability has its part in the cost.
template <typename T, typename A = accumulator<T>>
NATLAB_BOTH inline void pay(A grad, const int8_t* operations, double delta, T* grad_logp, T* grad_blank,
                            int64_t targets, int64_t positions) {
  int64_t i = 0, j = 0;
  for (int64_t k = 0; k < targets + positions && operations[k] != NONE; ++k) {
    switch (operations[k]) {
      case ALIGN: grad_logp[i++ * positions + j++] = store<T>(-grad); break;
      case SKIP_PREDICTION: grad_blank[j++] = store<T>(-grad); break;
      default: grad_logp[i++ * positions + (j > 0 ? j - 1 : 0)] = store<T>(-grad * static_cast<A>(delta));
    }
  }
}

}  // namespace natlab
