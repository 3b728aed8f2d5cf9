"""The peers' servers. Each runs in its peer's environment. The only package of this project that they use is models."""
