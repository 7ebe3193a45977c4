"""Names for everything that must survive a restart."""


def named_state(gan):
    """Every variable that the rest of training depends on, by a unique and stable name.

    Both networks, the averaged generator, both optimizers, the step, the running means of the log, and whatever else
    the variant added. There is no hidden state: noise is a function of the seed and the step, and the random state of
    dropout is a variable of its network.

    Raises:
        ValueError: if two variables would have one name.
    """
    sections = {
        "generator": gan.generator.variables,
        "discriminator": gan.discriminator.variables,
        "ema_generator": gan.ema_generator.variables,
        "generator_optimizer": gan.generator_optimizer.variables,
        "discriminator_optimizer": gan.discriminator_optimizer.variables,
        "log": [variable for tracker in gan.trackers.values() for variable in tracker.variables],
    }
    named, seen = {}, set()
    for section, variables in sections.items():
        for variable in variables:
            named[f"{section}/{variable.path}"] = variable
            seen.add(id(variable))
    for variable in gan.variables:  # what is left: the step, and whatever the variant added
        if id(variable) not in seen:
            named[f"training/{variable.path.removeprefix(gan.name + '/')}"] = variable
            seen.add(id(variable))
    if len(named) != len(seen):
        raise ValueError(
            f"Every variable needs a name of its own, or it could not be restored: give each layer a name. "
            f"Received: {len(seen)} variables with {len(named)} names"
        )
    return named
