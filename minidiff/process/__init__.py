"""What is x_t, what does the net predict, what is the loss?"""
