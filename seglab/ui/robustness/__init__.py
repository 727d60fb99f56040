"""What does bad weather, blur or noise do to each? ``photo`` (one photo), ``split`` (measured on a whole split)."""
