from itertools import count

from natlab.metrics.latency import interleaved, summary


def test_each_sentence_is_decoded_by_all_before_the_next_and_warm_up_is_not_counted():
    calls = []
    ticks = count()
    decoders = {name: (lambda sentence, name=name: calls.append((name, sentence))) for name in ("at", "nat")}
    seconds = interleaved(decoders, ["a", "b", "c"], 1, lambda: next(ticks))
    assert calls[:2] == [("at", "a"), ("nat", "a")]
    assert calls[2:] == [(name, sentence) for sentence in "abc" for name in ("at", "nat")]
    assert seconds == {"at": [1, 1, 1], "nat": [1, 1, 1]}


def test_summary_in_milliseconds():
    seconds = [0.001 * k for k in range(1, 101)]
    assert summary(seconds) == {"mean": 50.5, "median": 50.5, "p95": 96.0}
    assert summary([0.002]) == {"mean": 2.0, "median": 2.0, "p95": 2.0}
