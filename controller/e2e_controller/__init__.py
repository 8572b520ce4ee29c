"""The controller: keeps containers in the state that manifests ask for."""
