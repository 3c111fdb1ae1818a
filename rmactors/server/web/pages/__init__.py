"""The pages. Each module exposes `blueprint`; what a page says is decided in `rmactors.server.web.views`."""
