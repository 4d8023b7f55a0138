"""deploy/kubernetes: valid manifests, whose references and times fit each other and the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from ticker.bounds import HISTORY_FINISH_SECONDS
from ticker.commands.settings import load_config

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
MANIFESTS: dict[str, dict[str, Any]] = {
    name: yaml.safe_load((FOLDER / name).read_text()) for name in KUSTOMIZATION["resources"]
}
POD: dict[str, Any] = MANIFESTS["deployment.yaml"]["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_is_valid(name: str) -> None:
    kubernetes_validate.validate(MANIFESTS[name], "1.34", strict=True)


def test_every_manifest_is_a_resource_of_the_kustomization() -> None:
    assert {path.name for path in FOLDER.glob("*.yaml")} == {*MANIFESTS, "kustomization.yaml"}
    assert KUSTOMIZATION["namespace"] == MANIFESTS["namespace.yaml"]["metadata"]["name"]
    assert [image["name"] for image in KUSTOMIZATION["images"]] == [CONTAINER["image"]]


def test_the_selectors_select_the_pods() -> None:
    labels = POD["metadata"]["labels"].items()
    selectors = [
        MANIFESTS["deployment.yaml"]["spec"]["selector"]["matchLabels"],
        MANIFESTS["service.yaml"]["spec"]["selector"],
        MANIFESTS["disruption-budget.yaml"]["spec"]["selector"]["matchLabels"],
        POD["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ]
    assert all(selector.items() <= labels for selector in selectors)


def test_mounts_and_ports_and_files_exist() -> None:
    volumes = {volume["name"]: volume for volume in POD["spec"]["volumes"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    assert volumes.keys() == mounts.keys()
    (generated,) = KUSTOMIZATION["configMapGenerator"]
    assert volumes["config"]["configMap"]["name"] == generated["name"]
    assert [mount["subPath"] for mount in CONTAINER["volumeMounts"] if "subPath" in mount] == generated["files"]
    assert mounts["config"] in CONTAINER["args"]
    config = load_config(FOLDER / generated["files"][0])
    assert config.tls.cert == f"{mounts['tls']}/tls.crt"
    assert config.tls.key == f"{mounts['tls']}/tls.key"
    assert config.tokens.key is not None
    assert config.history.file is not None
    assert Path(config.tokens.key).parent == Path(mounts["tokens"])
    assert Path(config.history.file).parent == Path(mounts["state"])
    (port,) = CONTAINER["ports"]
    assert config.addresses[0].endswith(f":{port['containerPort']}")
    probes = [CONTAINER[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")]
    assert {(probe["port"], probe["scheme"]) for probe in probes} == {(port["name"], "HTTPS")}
    assert [probe["path"] for probe in probes] == ["/healthz", "/readyz", "/healthz"]
    (service_port,) = MANIFESTS["service.yaml"]["spec"]["ports"]
    assert service_port["targetPort"] == port["name"]


def test_a_pod_has_time_to_drain() -> None:
    config = load_config(FOLDER / "ticker.toml")
    before = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert POD["spec"]["terminationGracePeriodSeconds"] > before + config.drain_seconds + HISTORY_FINISH_SECONDS


def test_a_pod_is_restricted_and_one_at_a_time_goes() -> None:
    assert POD["spec"]["securityContext"]["runAsNonRoot"] is True
    assert CONTAINER["securityContext"]["readOnlyRootFilesystem"] is True
    assert CONTAINER["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert MANIFESTS["disruption-budget.yaml"]["spec"]["maxUnavailable"] == 1
    assert MANIFESTS["deployment.yaml"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert MANIFESTS["deployment.yaml"]["spec"]["replicas"] >= 2
