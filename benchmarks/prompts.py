"""A hundred things that do not exist as emoji, each with the style in which it is to be drawn."""

ROWS = {  # ten subjects, ten columns each
    "heart": "green heart with face, black heart with crown, blue heart with wings, orange heart with eyes, "
             "purple heart with hat, brown heart with flower, yellow heart with star, white heart with fire, "
             "blue heart with glasses, green heart with ribbon",
    "face": "blue smiling face, green crying face with hat, purple angry face, red cat face, yellow dog face, "
            "green frog face with crown, blue bear face, red smiling face with sunglasses, "
            "black smiling face with horns, orange face with hat",
    "fruit": "blue apple, purple apple, black apple, red banana, green cherry, blue lemon, yellow strawberry, "
             "purple pear, green grapes, orange watermelon",
    "animal": "green dog, blue cat, red fish, purple bird, yellow pig, blue rabbit, orange whale, black bear, "
              "green horse, purple elephant",
    "plant": "blue flower, black flower, purple tree, red tree, orange leaf, blue mushroom, green sunflower, "
             "white rose, purple cactus, yellow four leaf clover",
    "vehicle": "green car, purple car, yellow bus, blue fire engine, red rocket, green train, black taxi, orange boat, "
               "purple airplane, pink bicycle",
    "thing": "purple book, red umbrella, blue hat, purple key, green bell, red lamp, orange balloon, black gift, "
             "blue crown, green ring",
    "food": "blue cake, green bread, purple cheese, blue pizza, red ice cream, green egg, black cookie, "
            "purple candy, blue soup, orange milk",
    "sky": "purple sun, green moon, red moon with face, blue sun with face, black star, green star, purple cloud, "
           "red cloud with rain, yellow cloud with snow, orange globe",
    "mixed": "cat with crown, dog with hat, fish with wings, pig with glasses, monkey with flower, ghost with heart, "
             "robot with hat, snowman with umbrella, moon with hat, sun with glasses",
}
STYLES = ("noto", "twemoji", "fluent")
PROMPTS = [(prompt.strip(), STYLES[(row + column) % 3]) for row, line in enumerate(ROWS.values())
           for column, prompt in enumerate(line.split(", "))]
