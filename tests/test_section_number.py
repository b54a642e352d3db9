"""A number prints bare and carries what is needed to judge it."""

from genlab.section.number import METRIC_MIME, Metric


def test_a_number_prints_bare_and_carries_its_limit():
    shown = Metric(0.25, unit="nats", better="lower", limit=0.1, limit_is="exact")
    data = shown._repr_mimebundle_()
    assert data["text/plain"] == "0.25"
    about = data[METRIC_MIME]
    assert (about["value"], about["unit"], about["limit"], about["sd"]) == (0.25, "nats", 0.1, None)
