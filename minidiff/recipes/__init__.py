"""Which data, net, path and loss make a named result?"""
