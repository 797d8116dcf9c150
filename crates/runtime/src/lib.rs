//! What every process needs: clock, configuration, logs, gRPC set-up, health, shutdown.
