"""What phones hold: the printed SDL, named operations and the reference phone; imports nothing of the server's."""
