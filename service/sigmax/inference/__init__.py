"""From features to a decided prediction: engine, decision, predictor, proof, catalog, dispatch."""
