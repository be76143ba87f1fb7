"""Speed and memory of byrote against the plain way, side by side in one run."""
