"""ticker/supervisor/merged_metrics.py: the pages of several processes as one."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from ticker.supervisor.merged_metrics import merged

ONE = b"""# HELP a_total What is counted.
# TYPE a_total counter
a_total 1.0
# HELP empty Nothing is here.
# TYPE empty gauge
# HELP b What is measured.
# TYPE b gauge
b{state="in {braces}, and \\"quotes\\""} 2.0
b{state="other"} NaN
"""
TWO = b"""# HELP a_total What is counted.
# TYPE a_total counter
a_total 3.0
# HELP c Only here.
# TYPE c histogram
c_bucket{le="1"} 1.0
c_bucket{le="+Inf"} 2.0
c_count 2.0
c_sum 5.0
"""


def test_every_sample_has_its_worker_and_every_metric_one_description() -> None:
    text = merged([(None, b"# HELP up Here.\n# TYPE up gauge\nup 1.0\n"), ("1", ONE), ("source", TWO)])
    assert (
        text.decode()
        == """# HELP up Here.
# TYPE up gauge
up 1.0
# HELP a_total What is counted.
# TYPE a_total counter
a_total{worker="1"} 1.0
a_total{worker="source"} 3.0
# HELP empty Nothing is here.
# TYPE empty gauge
# HELP b What is measured.
# TYPE b gauge
b{worker="1",state="in {braces}, and \\"quotes\\""} 2.0
b{worker="1",state="other"} NaN
# HELP c Only here.
# TYPE c histogram
c_bucket{worker="source",le="1"} 1.0
c_bucket{worker="source",le="+Inf"} 2.0
c_count{worker="source"} 2.0
c_sum{worker="source"} 5.0
"""
    )
    families = {family.name: family for family in text_string_to_metric_families(text.decode())}
    assert [sample.labels["worker"] for sample in families["a"].samples] == ["1", "source"]


def test_no_pages_are_an_empty_one() -> None:
    assert merged([]) == b""
