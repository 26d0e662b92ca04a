"""deploy/kubernetes: what can be known of it without a cluster, helm or Docker."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from video_assets.environment import Environment, variable_name
from video_assets_tests.deploy.chart import deployment, instance_settings, read_values, run_context, run_launcher_config
from video_assets_tests.deploy.dockerfile import DOCKERFILE, PROJECT, carry_out, read_dockerfile

USER = 10001
PROJECT_TABLE = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
IN_A_POD = {
    "DAGSTER_HOME": "/opt/dagster/dagster_home",
    "DAGSTER_K8S_INSTANCE_CONFIG_MAP": "dagster-instance",
    "DAGSTER_K8S_PG_PASSWORD_SECRET": "video-assets-postgresql",
    "DAGSTER_K8S_PIPELINE_RUN_ENV_CONFIGMAP": "dagster-pipeline-env",
    "DAGSTER_PG_PASSWORD": "not-in-any-file",
}


def pinned_versions() -> dict[str, str]:
    lines = re.findall(r"^([a-z0-9-]+)==(\S+)", (PROJECT / "constraints.txt").read_text("utf-8"), re.MULTILINE)
    return dict(lines)


@pytest.fixture
def pod_of_a_run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The pod that the run launcher makes for a run of the code location: what it would send to the cluster."""
    pytest.importorskip("dagster_k8s", reason="needs dagster-k8s (pip install 'video_assets[kubernetes]')")
    import kubernetes
    from dagster._config import process_config, resolve_to_config_type
    from dagster_k8s import K8sRunLauncher
    from dagster_k8s.container_context import K8sContainerContext
    from dagster_k8s.job import construct_dagster_k8s_job

    for name, value in IN_A_POD.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(kubernetes.config, "load_incluster_config", lambda: None)
    values = read_values()
    checked = process_config(resolve_to_config_type(K8sRunLauncher.config_type()), run_launcher_config(values))
    assert checked.success, checked.errors
    assert checked.value is not None
    launcher = K8sRunLauncher.from_config_value(None, checked.value)  # pyright: ignore[reportArgumentType]
    of_launcher = {
        name: checked.value[name]
        for name in ("env_config_maps", "resources", "security_context", "run_k8s_config", "image_pull_policy")
    }
    context = K8sContainerContext.create_from_config({"k8s": of_launcher})
    context = context.merge(K8sContainerContext.create_from_config(run_context(values)))
    image = deployment(values)["image"]
    config = context.get_k8s_job_config(f"{image['repository']}:{image['tag']}", launcher)
    job = construct_dagster_k8s_job(
        config, ["dagster", "api", "execute_run"], "run", context.run_k8s_config, "run", "run_worker"
    )
    return kubernetes.client.ApiClient().sanitize_for_serialization(job)["spec"]["template"]["spec"]


def test_dagster_takes_the_settings_that_the_chart_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dagster_k8s", reason="needs dagster-k8s (pip install 'video_assets[kubernetes]')")
    pytest.importorskip("dagster_postgres", reason="needs dagster-postgres (pip install 'video_assets[postgres]')")
    from dagster._core.instance.ref import InstanceRef

    for name, value in IN_A_POD.items():
        monkeypatch.setenv(name, value)
    settings = instance_settings(read_values())
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    reference = InstanceRef.from_dir(str(tmp_path))
    found: Any = reference.settings
    assert found["concurrency"]["pools"] == {"default_limit": 20, "granularity": "run"}
    assert found["concurrency"]["runs"] == {"max_concurrent_runs": 25}
    assert found["run_monitoring"]["max_resume_run_attempts"] == 0
    assert reference.run_coordinator_data is not None
    assert reference.run_coordinator_data.class_name == "QueuedRunCoordinator"

    settings["run_monitoring"]["pollIntervalSeconds"] = 1
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    with pytest.raises(Exception, match="pollIntervalSeconds"):
        InstanceRef.from_dir(str(tmp_path))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of the Kubernetes client
def test_a_run_gets_its_image_its_store_its_share_of_a_node_and_no_rights(pod_of_a_run: Any) -> None:
    (container,) = pod_of_a_run["containers"]
    given = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert container["image"] == f"video-assets:{PROJECT_TABLE['version']}"
    assert given["VIDEO_ASSETS_ROOT"] == "s3://datasets"
    assert "video-assets-store" in [source.get("secretRef", {}).get("name") for source in container["envFrom"]]
    assert given["VIDEO_ASSETS_WORKERS"] == container["resources"]["requests"]["cpu"]
    assert container["resources"]["limits"].keys() == {"memory", "ephemeral-storage"}
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert pod_of_a_run["securityContext"]["runAsUser"] == USER
    assert pod_of_a_run["securityContext"]["runAsNonRoot"] is True
    assert "not-in-any-file" not in str(pod_of_a_run)


def test_the_variables_of_the_values_are_those_that_the_code_location_reads() -> None:
    known = {variable_name(name) for name in Environment.model_fields}
    given = {entry["name"]: entry["value"] for entry in deployment(read_values())["env"]}
    assert given.keys() <= known
    assert {variable_name(name) for name in ("source", "root", "name")} <= given.keys()
    assert given["VIDEO_ASSETS_AUTOMATION"] == "on"


def test_no_password_and_no_key_stands_in_the_values() -> None:
    values = read_values()
    assert values["generatePostgresqlPasswordSecret"] is False
    assert values["global"]["postgresqlSecretName"]
    assert "postgresqlPassword" not in values["postgresql"]
    assert not [entry for entry in deployment(values)["env"] if re.search(r"KEY|SECRET|TOKEN|PASSWORD", entry["name"])]


def test_the_chart_the_image_and_the_code_are_of_one_version() -> None:
    pinned = pinned_versions()
    readme = (DOCKERFILE.parent / "README.md").read_text("utf-8")
    assert f"--version {pinned['dagster']} " in readme
    assert f"-t video-assets:{PROJECT_TABLE['version']} ." in readme
    assert deployment(read_values())["image"]["tag"] == PROJECT_TABLE["version"]
    (python,) = re.findall(r"^ARG PYTHON=(\S+)$", DOCKERFILE.read_text("utf-8"), re.MULTILINE)
    assert SpecifierSet(PROJECT_TABLE["requires-python"]).contains(python)
    assert f"Programming Language :: Python :: {python}" in PROJECT_TABLE["classifiers"]


def test_everything_that_the_image_needs_is_pinned_by_its_hash(tmp_path: Path) -> None:
    build, _ = read_dockerfile()
    until_requirements = [step for step in build if step.word != "FROM"][:4]
    carry_out(until_requirements, tmp_path)
    wanted = [
        Requirement(line) for line in (tmp_path / "source" / "requirements.txt").read_text("utf-8").split("\n") if line
    ]
    names = {requirement.name for requirement in wanted}
    assert {"dagster", "tensorflow", "obstore", "boto3", "ray", "dagster-postgres", "dagster-k8s"} <= names
    assert names.isdisjoint({"pytest", "moto", "selenium", "ruff"})
    pinned = pinned_versions()
    assert [r.name for r in wanted if not r.specifier.contains(pinned.get(r.name, "0"))] == []
    assert "--require-hashes -c constraints.txt" in DOCKERFILE.read_text("utf-8")


def test_the_image_runs_as_nobody_and_holds_the_program_that_the_chart_starts() -> None:
    build, final = read_dockerfile()
    (user,) = [step.text for step in final if step.word == "USER"]
    assert int(user) == USER
    assert f"--uid {USER} " in next(step.text for step in final if step.text.startswith("useradd"))
    assert [step.text for step in final if step.word == "COPY"] == ["--from=build /opt/video-assets /opt/video-assets"]
    copied = [name for step in build if step.word == "COPY" for name in step.text.split()[:-1]]
    ignored = (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text("utf-8").split("\n")
    assert all((PROJECT / name).exists() and f"!{name}" in ignored for name in copied)
    arguments = deployment(read_values())["dagsterApiGrpcArgs"]
    help_text = subprocess.run(
        [sys.executable, "-m", "dagster", "api", "grpc", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert arguments[0] in help_text
    assert arguments[1] in (PROJECT / "workspace.yaml").read_text("utf-8")
