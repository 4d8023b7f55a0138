"""deploy/kubernetes: valid manifests, whose references and times fit each other and the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from ticker.bounds import HISTORY_FINISH_SECONDS
from ticker.commands.settings import load_config
from ticker.config import Config

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
MANIFESTS: dict[str, dict[str, Any]] = {
    name: yaml.safe_load((FOLDER / name).read_text()) for name in KUSTOMIZATION["resources"]
}
PARTS = ("source", "edge")


def deployment(part: str) -> dict[str, Any]:
    spec: dict[str, Any] = MANIFESTS[f"{part}.yaml"]["spec"]
    return spec


def pod(part: str) -> dict[str, Any]:
    template: dict[str, Any] = deployment(part)["template"]
    return template


def container(part: str) -> dict[str, Any]:
    (found,) = pod(part)["spec"]["containers"]
    only: dict[str, Any] = found
    return only


def config(part: str) -> Config:
    return load_config(FOLDER / f"{part}.toml")


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_is_valid(name: str) -> None:
    kubernetes_validate.validate(MANIFESTS[name], "1.34", strict=True)


def test_every_manifest_is_a_resource_of_the_kustomization() -> None:
    assert {path.name for path in FOLDER.glob("*.yaml")} == {*MANIFESTS, "kustomization.yaml"}
    assert KUSTOMIZATION["namespace"] == MANIFESTS["namespace.yaml"]["metadata"]["name"]
    assert [image["name"] for image in KUSTOMIZATION["images"]] == [container("source")["image"]]
    assert container("edge")["image"] == container("source")["image"]


@pytest.mark.parametrize(("part", "budget"), [("source", "disruption-budget-source"), ("edge", "disruption-budget")])
def test_the_selectors_select_the_pods(part: str, budget: str) -> None:
    labels = pod(part)["metadata"]["labels"].items()
    selectors = [
        deployment(part)["selector"]["matchLabels"],
        MANIFESTS[f"{budget}.yaml"]["spec"]["selector"]["matchLabels"],
        pod(part)["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ]
    assert all(selector.items() <= labels for selector in selectors)
    assert MANIFESTS[f"{budget}.yaml"]["spec"]["maxUnavailable"] == 1
    assert (MANIFESTS["service.yaml"]["spec"]["selector"].items() <= labels) is (part == "edge")


@pytest.mark.parametrize("part", PARTS)
def test_mounts_and_ports_and_files_exist(part: str) -> None:
    volumes = {volume["name"]: volume for volume in pod(part)["spec"]["volumes"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container(part)["volumeMounts"]}
    assert volumes.keys() == mounts.keys()
    (generated,) = [each for each in KUSTOMIZATION["configMapGenerator"] if each["name"] == f"ticker-{part}"]
    assert volumes["config"]["configMap"]["name"] == generated["name"]
    assert [f"ticker.toml={part}.toml"] == generated["files"]
    assert [mount["subPath"] for mount in container(part)["volumeMounts"] if "subPath" in mount] == ["ticker.toml"]
    assert mounts["config"] in container(part)["args"]
    settings = config(part)
    assert settings.tls.cert == f"{mounts['tls']}/tls.crt"
    assert settings.tls.key == f"{mounts['tls']}/tls.key"
    assert settings.tokens.key is not None
    assert Path(settings.tokens.key).parent == Path(mounts["tokens"])
    (port,) = container(part)["ports"]
    assert settings.addresses[0].endswith(f":{port['containerPort']}")
    probes = [container(part)[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")]
    assert {(probe["port"], probe["scheme"]) for probe in probes} == {(port["name"], "HTTPS")}
    ready = "/readyz" if part == "edge" else "/healthz"
    assert [probe["path"] for probe in probes] == ["/healthz", ready, "/healthz"]
    (service_port,) = MANIFESTS["service.yaml"]["spec"]["ports"]
    assert service_port["targetPort"] == port["name"]


def test_the_source_writes_its_history_where_it_may() -> None:
    mounts = {mount["name"]: mount["mountPath"] for mount in container("source")["volumeMounts"]}
    file = config("source").history.file
    assert file is not None
    assert Path(file).parent == Path(mounts["state"])
    assert not config("edge").history.enabled


def test_the_bus_is_a_secret_and_the_feeds_tell_a_source_from_an_edge() -> None:
    for part in PARTS:
        (variable,) = container(part)["env"]
        assert variable == {
            "name": "TICKER_BUS",
            "valueFrom": {"secretKeyRef": {"name": "ticker-bus", "key": "url"}},
        }
        assert config(part).bus is None
        text = (FOLDER / f"{part}.toml").read_text()
        assert ("feeds = [" in text) is (part == "source")
    assert config("edge").tables == config("source").tables
    assert config("edge").limits.max_instruments == config("source").limits.max_instruments


@pytest.mark.parametrize("part", PARTS)
def test_a_pod_has_time_to_drain(part: str) -> None:
    before = container(part)["lifecycle"]["preStop"]["sleep"]["seconds"]
    needed = before + config(part).drain_seconds + HISTORY_FINISH_SECONDS
    assert pod(part)["spec"]["terminationGracePeriodSeconds"] > needed


@pytest.mark.parametrize("part", PARTS)
def test_a_pod_is_restricted_and_one_at_a_time_goes(part: str) -> None:
    assert pod(part)["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container(part)["securityContext"]["readOnlyRootFilesystem"] is True
    assert container(part)["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert deployment(part)["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_there_are_two_of_each_at_least_and_edges_scale() -> None:
    scaler = MANIFESTS["autoscaler.yaml"]["spec"]
    assert scaler["scaleTargetRef"]["name"] == MANIFESTS["edge.yaml"]["metadata"]["name"]
    assert scaler["scaleTargetRef"]["kind"] == MANIFESTS["edge.yaml"]["kind"]
    assert scaler["minReplicas"] >= 2
    assert "replicas" not in deployment("edge"), "it would undo what the scaler did"
    assert deployment("source")["replicas"] == 2
