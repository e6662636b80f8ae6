"""The checks of `jaxtrunc doctor`: each is a function that returns findings and changes nothing."""
