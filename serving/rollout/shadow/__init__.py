"""Shadow: copies of real requests that the candidate answers too, and the comparison of both answers."""
