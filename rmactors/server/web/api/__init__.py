"""The JSON API and its neighbours for programs: `/healthz`, `/metrics`, `/events`. Each module exposes `blueprint`."""
