"""TorchServe's config.properties: reading, checking and writing it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

from serving.errors import ConfigError

FILE = Path(__file__).resolve().parents[2] / "config.properties"

# Every key that TorchServe 0.12 reads (org.pytorch.serve.util.ConfigManager). It silently ignores other keys.
KNOWN = frozenset(
    """
    allowed_urls async_logging blacklist_env_vars certificate_file cors_allowed_headers cors_allowed_methods
    cors_allowed_origin cpp_log_config cpu_launcher_args cpu_launcher_enable debug decode_input_request
    default_response_timeout default_service_handler default_startup_timeout default_workers_per_model
    disable_system_metrics disable_token_authorization enable_envvars_config enable_grpc_ssl enable_metrics_api
    enable_model_api grpc_inference_address grpc_inference_max_connection_age_grace_ms
    grpc_inference_max_connection_age_ms grpc_inference_port grpc_management_address
    grpc_management_max_connection_age_grace_ms grpc_management_max_connection_age_ms grpc_management_port
    inference_address initial_distribution_port initial_worker_port install_py_dep_per_model io_ratio ipex_enable
    ipex_gpu_enable job_queue_size keystore keystore_pass keystore_type limit_max_image_pixels load_models
    management_address max_request_size max_response_size metric_time_interval metrics_address metrics_config
    metrics_mode model_metrics_auto_detect model_snapshot model_store models netty_client_threads number_of_gpu
    number_of_netty_threads plugins_path prefer_direct_buffer private_key_file service_envelope system_metrics_cmd
    token_expiration_min ts_open_inference_protocol unregister_model_timeout use_env_allowed_urls vmargs
    workflow_store
    """.split()
)


def load(path: Path = FILE) -> dict[str, str]:
    """Read a config.properties.

    Raises:
        ConfigError: the file cannot be read, a line is not `key=value`, or TorchServe does not know a key.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    properties: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith(("#", "!")):
            continue
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise ConfigError(f"{path}, line {number}: {text!r:.60} is not `key=value`")
        if key not in KNOWN:
            near = difflib.get_close_matches(key, KNOWN, n=1)
            hint = f": did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{path}, line {number}: TorchServe has no setting {key!r}{hint}")
        if key in properties:
            raise ConfigError(f"{path}, line {number}: {key} is set twice; remove one of the lines")
        properties[key] = value
    return properties


def render(properties: Mapping[str, str]) -> str:
    """Return the text of a config.properties."""
    return "".join(f"{key}={value}\n" for key, value in sorted(properties.items()))
