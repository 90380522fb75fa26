//! The HTTP server: routes, JSON shapes, pages.
