"""Every pass is held to its promise on golden files, on cases of the suites, on the gallery and on trained models."""
