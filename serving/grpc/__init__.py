"""The Open Inference Protocol over gRPC: a gateway that says everything again in HTTP to the proxy."""
