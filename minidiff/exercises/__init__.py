"""How does a learner know that an answer is right?"""
