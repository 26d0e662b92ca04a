"""What Dagster's Helm chart makes of our values, for as far as they concern the code location's runs.

After the chart's templates `configmap-instance.yaml`, `_run-launcher.tpl` and, for a run's context, `_helpers.tpl` of
its user deployments. Where helm would put the release's names in, they are those of a release `dagster` in `default`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

VALUES = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes" / "values.yaml"
Values = Mapping[str, Any]


def read_values(file: Path = VALUES) -> Values:
    """The values."""
    return yaml.safe_load(file.read_text("utf-8"))


def deployment(values: Values) -> Values:
    """The one code location."""
    (only,) = values["dagster-user-deployments"]["deployments"]
    return only


def instance_settings(values: Values) -> dict[str, Any]:
    """`dagster.yaml`."""
    daemon, storage = values["dagsterDaemon"], _postgresql(values["postgresql"])
    if daemon["runCoordinator"]["enabled"]:
        raise ValueError("the chart's run coordinator is on; what it makes of that is not known here")
    return {
        "scheduler": {"module": "dagster.core.scheduler", "class": "DagsterDaemonScheduler"},
        "schedule_storage": storage
        | {"module": "dagster_postgres.schedule_storage", "class": "PostgresScheduleStorage"},
        "run_storage": storage | {"module": "dagster_postgres.run_storage", "class": "PostgresRunStorage"},
        "event_log_storage": storage | {"module": "dagster_postgres.event_log", "class": "PostgresEventLogStorage"},
        "run_launcher": {
            "module": "dagster_k8s",
            "class": values["runLauncher"]["type"],
            "config": run_launcher_config(values),
        },
        "run_monitoring": _snake(daemon["runMonitoring"]),
        "run_retries": _snake(daemon["runRetries"]),
        "telemetry": values["telemetry"],
        "retention": _snake({name: values["retention"][name] for name in ("sensor", "schedule")}),
        **values["additionalInstanceConfig"],
    }


def run_launcher_config(values: Values) -> dict[str, Any]:
    """The configuration of `K8sRunLauncher`."""
    given = values["runLauncher"]["config"]["k8sRunLauncher"]
    return {
        "load_incluster_config": True,
        "job_namespace": "default",
        "image_pull_policy": given["imagePullPolicy"],
        "service_account_name": "dagster",
        "dagster_home": {"env": "DAGSTER_HOME"},
        "instance_config_map": {"env": "DAGSTER_K8S_INSTANCE_CONFIG_MAP"},
        "postgres_password_secret": {"env": "DAGSTER_K8S_PG_PASSWORD_SECRET"},
        "env_config_maps": [{"env": "DAGSTER_K8S_PIPELINE_RUN_ENV_CONFIGMAP"}],
        "resources": given["resources"],
        "security_context": given["securityContext"],
        "run_k8s_config": {_snake_name(name): value for name, value in given["runK8sConfig"].items()},
    }


def run_context(values: Values) -> dict[str, Any]:
    """What the code location's deployment gives to its runs."""
    given = deployment(values)
    return {
        "k8s": {
            "image_pull_policy": given["image"]["pullPolicy"],
            "env_config_maps": [f"dagster-{given['name']}-user-env"],
            "env_secrets": [secret["name"] for secret in given["envSecrets"]],
            **({"resources": given["resources"]} if "resources" in given else {}),
            "namespace": "default",
            "service_account_name": "dagster-user-deployments",
            "env": given["env"],
            "run_k8s_config": {"pod_spec_config": {"automount_service_account_token": True}},
        }
    }


def _postgresql(given: Values) -> dict[str, Any]:
    database = {
        "username": given["postgresqlUsername"],
        "password": {"env": "DAGSTER_PG_PASSWORD"},
        "hostname": given["postgresqlHost"],
        "db_name": given["postgresqlDatabase"],
        "port": given["service"]["port"],
        "params": {},
    }
    return {"config": {"postgres_db": database}}


def _snake_name(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda match: f"_{match[1].lower()}", name)


def _snake(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_snake_name(name): _snake(inner) for name, inner in value.items()}
    return value
