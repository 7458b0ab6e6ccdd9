"""One file per view: a pure function from a recording (and a state) to the payload or figure that is drawn."""
