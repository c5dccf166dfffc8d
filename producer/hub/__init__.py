"""What there is on the hub: models and datasets, found and described. Downloads none of them."""
