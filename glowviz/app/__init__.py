"""The app: a Dash page that shows a recording of the compiler, with every pane drawn from /api payloads."""
