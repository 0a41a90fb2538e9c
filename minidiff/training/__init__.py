"""How is a net trained and kept?"""
